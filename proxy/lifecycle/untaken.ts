// What is kept of answers of the health port that nobody takes: the app's metrics may be large, and whoever reaches
// the port asks for them. It counts; it sends nothing.

import type { Socket } from 'node:net';

/** Of all answers together. */
const maxBytes = 32 << 20;
/** Beyond this it is looked which of them ended with their connection: those that queue behind others do not say it. */
const manyAnswers = 1024;

interface Answer {
  socket: Pick<Socket, 'destroyed'>;
  bytes: number;
}

export class Untaken {
  readonly #answers = new Set<Answer>();
  #bytes = 0;

  hasRoomFor(bytes: number): boolean {
    if (this.#bytes + bytes > maxBytes || this.#answers.size > manyAnswers) this.#forgetEnded();
    return this.#bytes + bytes <= maxBytes;
  }

  /** Returns what is called, once or more, when it was taken or will never be. */
  add(socket: Answer['socket'], bytes: number): () => void {
    const answer = { socket, bytes };
    this.#answers.add(answer);
    this.#bytes += bytes;
    return () => this.#forget(answer);
  }

  #forgetEnded(): void {
    for (const answer of this.#answers) if (answer.socket.destroyed) this.#forget(answer);
  }

  #forget(answer: Answer): void {
    if (this.#answers.delete(answer)) this.#bytes -= answer.bytes;
  }
}
