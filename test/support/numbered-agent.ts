/*
 * An agent whose bundles are texts that begin with their numbers. It takes parts, as the agent does, over any number of streams.
 */
import type { Duplex } from 'node:stream';
import { Chunk } from '../../src/bundle/canonical-json.ts';
import { splitFiles } from '../../src/bundle/joined-files.ts';
import { type Frame, FrameReader, frameHead } from '../../src/feed/frames.ts';
import { PartStore } from '../../src/feed/parts.ts';
import { DOWN, encodeReport, MAX_DOWN_BYTES, UP } from '../../src/feed/protocol.ts';
import type { BundleContent } from '../../src/feed-server/loaded-bundle.ts';

/** The text of a bundle, of which agents have parts already. */
export function numberedChunks(workload: string, number: number): readonly Chunk[] {
  return [`${number}\n`, workload.repeat(40), `${number % 3}`.repeat(200)].map((text) => new Chunk(text));
}

/** The same as files, for half of the bundles with chunks. */
export function numberedFiles(workload: string, number: number): BundleContent {
  const chunks = numberedChunks(workload, number);
  return { files: { '0/part': Buffer.from(textOf(chunks)) }, ...(number % 2 === 0 ? { chunks } : {}) };
}

/** What an agent that enforces the bundle with this number says. */
export function numberedDigest(number: number): string {
  return number === 0 ? '' : `sha256:${String(number).padStart(64, '0')}`;
}

function textOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ text }) => text).join('');
}

/** One agent. */
export class NumberedAgent {
  /** The number that it accepted last. */
  number = 0;
  /** The last that it read. */
  offered = 0;
  /** Number of the bundle whose parts it has. */
  holds = 0;
  readonly #workload: string;
  readonly #isRefused: (number: number) => boolean;
  readonly #onFault: (fault: string) => void;
  readonly #parts = new PartStore();
  #refused = false;

  constructor(workload: string, isRefused: (number: number) => boolean, onFault: (fault: string) => void) {
    this.#workload = workload;
    this.#isRefused = isRefused;
    this.#onFault = onFault;
  }

  /** Serves a stream. @returns says what it enforces */
  follow(socket: Duplex): () => void {
    const reader = new FrameReader(MAX_DOWN_BYTES);
    let received = 0;
    let isMissing = false;
    const report = (): void => {
      const optional = { ...(isMissing ? { missing: true as const } : {}), ...(this.#refused ? { refused: 'SP_BUNDLE_SIGNATURE' } : {}) };
      const payload = encodeReport({ digest: numberedDigest(this.number), number: this.number, received, ...optional });
      if (!socket.destroyed) socket.write(Buffer.concat([frameHead(UP.report, payload.length), payload]));
    };
    socket.on('data', (chunk: Buffer) => {
      for (const frame of reader.push(chunk) ?? []) {
        if (frame.type !== DOWN.bundle && frame.type !== DOWN.parts) continue;
        isMissing = !this.#take(frame);
        received += 1;
        report();
      }
    });
    return report;
  }

  /** @returns false: it lacks a part */
  #take({ type, payload }: Frame): boolean {
    if (type === DOWN.bundle) this.#parts.clear();
    const assembled = type === DOWN.parts ? this.#parts.assemble(payload, MAX_DOWN_BYTES) : { kind: 'files', files: splitFiles(payload) };
    if (assembled.kind !== 'files') {
      if (assembled.kind === 'invalid') this.#onFault('an invalid bundle');
      this.holds = 0;
      return false;
    }
    const text = Buffer.from(assembled.files?.['0/part'] ?? []).toString();
    const number = Number(text.split('\n')[0]);
    if (text !== textOf(numberedChunks(this.#workload, number))) this.#onFault(`another text of ${number}`);
    if (number <= this.number) this.#onFault(`${number} after ${this.number}`);
    this.offered = number;
    this.#refused = this.#isRefused(number);
    if (!this.#refused) this.number = number;
    this.holds = type === DOWN.bundle || this.#refused ? 0 : number;
    return true;
  }
}
