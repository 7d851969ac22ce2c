// A sink of one's own: each checkpoint's rows are posted in one request. At-least-once.
import { type Batch, rowView, type Sink, type SinkWriter } from "millrace/connector";

export interface PostSinkOptions {
  /** Delivers the rows; rejects when it could not. */
  readonly post: (rows: readonly object[]) => Promise<void>;
  /** Rows that may wait in one instance. Default 1,000. */
  readonly maxRows?: number;
}

export function postSink({ post, maxRows = 1000 }: PostSinkOptions): Sink {
  return {
    connector: "post",
    options: { maxRows },
    accepts: "append",
    delivery: "at-least-once",
    async openWriter(_context, schema) {
      return new PostWriter(post, maxRows, rowView(schema));
    },
  };
}

class PostWriter implements SinkWriter {
  readonly #post: PostSinkOptions["post"];
  readonly #maxRows: number;
  readonly #view: ReturnType<typeof rowView>;
  #rows: object[] = [];
  #posting: Promise<void> = Promise.resolve();

  constructor(post: PostSinkOptions["post"], maxRows: number, view: ReturnType<typeof rowView>) {
    this.#post = post;
    this.#maxRows = maxRows;
    this.#view = view;
  }

  /** A batch is valid during the call only, so its rows are copied. */
  write({ rows, selection, count }: Batch): void {
    for (let k = 0; k < count; k++) {
      this.#view.point(rows, selection[k] as number);
      this.#rows.push({ ...this.#view });
    }
  }

  ready(): Promise<void> | undefined {
    return this.#rows.length < this.#maxRows ? undefined : this.flush();
  }

  /** One request after another, so that the order stays. A failure is kept: later calls reject too, and the job restarts. */
  flush(): Promise<void> {
    const rows = this.#rows;
    this.#rows = [];
    if (rows.length > 0) this.#posting = this.#posting.then(() => this.#post(rows));
    return this.#posting;
  }

  /** At-least-once: before a checkpoint counts, everything up to it has been delivered. */
  async prepare(): Promise<Uint8Array> {
    await this.flush();
    return new Uint8Array();
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {
    this.#rows = [];
    await this.#posting.catch(() => {});
  }
}
