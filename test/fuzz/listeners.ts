// Listeners for fuzz targets: they write down what they hear, as all recorders do, and tell when a message is over.
import type { RequestHead, ResponseHead } from '../../proxy/codec/session.ts';
import type { Fields } from '../../proxy/codec/session.ts';
import { Recorder } from '../../proxy/codec/test-recorder.ts';
import { must } from './target.ts';

/** Calls `consume` for what it heard and `onEnd` when the message is whole; asserts that nothing follows. */
export class Watcher<In extends RequestHead | ResponseHead> extends Recorder<In> {
  consume: (bytes: number) => void = () => {};
  onEnd: () => void = () => {};
  ends = 0;
  resets = 0;

  override onHead(head: In, end: boolean): void {
    must(this.ends === 0, 'a message goes on after its end');
    super.onHead(head, end);
    if (end) this.#end();
  }

  override onData(chunk: Buffer, end: boolean): void {
    must(this.ends === 0, 'a message goes on after its end');
    super.onData(chunk, end);
    this.consume(chunk.length);
    if (end) this.#end();
  }

  override onTrailers(fields: Fields): void {
    must(this.ends === 0, 'a message goes on after its end');
    super.onTrailers(fields);
    this.#end();
  }

  override onReset(reason: string): void {
    must(this.resets === 0, 'an exchange is reset twice');
    super.onReset(reason);
    this.resets++;
  }

  #end(): void {
    this.ends++;
    this.onEnd();
  }
}
