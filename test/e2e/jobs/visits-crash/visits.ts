// A bad version: it crashes while it is loaded.
throw new Error("this version crashes at its start");
