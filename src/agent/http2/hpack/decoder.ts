/*
 * Decodes header blocks (RFC 7541). One decoder for each connection that sends them; strings are latin1, one character per byte. Names and
 * values are checked when they are decoded, so what the table holds is valid.
 */
import { isTokenByte } from '../../../http/field-syntax.ts';
import type { HeaderList } from '../../../http/header-list.ts';
import { LIMITS } from '../../../limits/agent-limits.ts';
import { DynamicTable } from './dynamic-table.ts';
import { decodeHuffman } from './huffman.ts';
import { LiteralCache } from './literal-cache.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts';

/**
 * Why a block gives no header list. compression: it cannot be decoded, and the state of the table is lost; field: a name or value is
 * invalid; size: the list is longer than allowed; count: it has too many fields. After the last two the connection can go on.
 */
export type BlockFault = 'compression' | 'field' | 'size' | 'count';

/** What a decoder accepts. */
export interface DecoderLimits {
  /** Bytes of all names and values. */
  readonly listBytes: number;
  /** Fields, pseudo-header fields included. */
  readonly fields: number;
}

const CACHE = new LiteralCache();
/** No string of a block is longer than the block, which has a limit; Huffman coding shortens it to five eighths at most. */
const scratch = Buffer.allocUnsafeSlow(Math.ceil((LIMITS.headerBlockBytes.value * 8) / 5) + 8);
const COLON = 0x3a;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
/** More would not fit into any block. */
const MAX_INTEGER = LIMITS.headerBlockBytes.value;
/** Size updates at the start of one block (RFC 7541 section 4.2: the smallest size in between and the last one). */
const SIZE_UPDATES = 2;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const INVALID_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;

/** The decoder of one direction of a connection. */
export class HpackDecoder {
  readonly #limits: DecoderLimits;
  readonly #table = new DynamicTable();
  #at = 0;
  #end = 0;
  /** Start of the string that was read last. */
  #from = 0;
  /** A string or integer could not be read. */
  #failed = false;
  /** A name or value is invalid. */
  #invalid = false;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
  }

  /** The fields of the block `buffer[start, end)` in their order, pseudo-header fields included. */
  decode(buffer: Buffer, start: number, end: number): HeaderList | BlockFault {
    const fields: string[] = [];
    const { listBytes, fields: maxFields } = this.#limits;
    let size = 0;
    let count = 0;
    this.#at = start;
    this.#end = end;
    this.#failed = false;
    this.#invalid = false;
    if (!this.#readSizeUpdates(buffer)) return 'compression';
    while (this.#at < end) {
      const first = buffer[this.#at] as number;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        const index = this.#readInteger(buffer, 0x7f);
        name = this.#nameAt(index);
        value = this.#failed ? '' : this.#valueAt(index);
      } else {
        const isIndexed = first >= 0x40;
        if (!isIndexed && first >= 0x20) return 'compression';
        const index = this.#readInteger(buffer, isIndexed ? 0x3f : 0x0f);
        name = index === 0 ? this.#readName(buffer) : this.#nameAt(index);
        value = this.#failed ? '' : this.#readValue(buffer);
        if (isIndexed && !this.#failed) this.#table.add(name, value);
      }
      if (this.#failed) return 'compression';
      size += name.length + value.length;
      count += 1;
      if (size <= listBytes && count <= maxFields) fields.push(name, value);
    }
    if (this.#invalid) return 'field';
    if (count > maxFields) return 'count';
    return size > listBytes ? 'size' : fields;
  }

  #readSizeUpdates(buffer: Buffer): boolean {
    for (let updates = 0; this.#at < this.#end; updates += 1) {
      if (((buffer[this.#at] as number) & 0xe0) !== 0x20) return true;
      const size = this.#readInteger(buffer, 0x1f);
      if (this.#failed || updates === SIZE_UPDATES || !this.#table.resize(size)) return false;
    }
    return true;
  }

  #nameAt(index: number): string {
    if (index > 0 && index <= STATIC_ENTRIES) return STATIC_TABLE[index * 2 - 2] as string;
    return this.#isDynamic(index) ? this.#table.name(index - STATIC_ENTRIES - 1) : '';
  }

  #valueAt(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_TABLE[index * 2 - 1] as string;
    return this.#table.value(index - STATIC_ENTRIES - 1);
  }

  #isDynamic(index: number): boolean {
    if (index > STATIC_ENTRIES && index <= STATIC_ENTRIES + this.#table.count) return true;
    this.#failed = true;
    return false;
  }

  /** An integer whose first byte has the bits of `mask` for it (RFC 7541 section 5.1). */
  #readInteger(buffer: Buffer, mask: number): number {
    let value = (buffer[this.#at] as number) & mask;
    this.#at += 1;
    if (value < mask) return value;
    for (let shift = 1; this.#at < this.#end; shift *= 128) {
      const byte = buffer[this.#at] as number;
      this.#at += 1;
      value += (byte & 0x7f) * shift;
      if (value > MAX_INTEGER) break;
      if (byte < 0x80) return value;
    }
    this.#failed = true;
    return 0;
  }

  #readName(buffer: Buffer): string {
    const isCoded = this.#readLength(buffer);
    if (this.#failed) return '';
    const name = this.#decode(buffer, isCoded);
    if (!isFieldName(name)) this.#invalid = true;
    return name;
  }

  #readValue(buffer: Buffer): string {
    const isCoded = this.#readLength(buffer);
    if (this.#failed) return '';
    const cached = CACHE.find(buffer, this.#from, this.#at, isCoded);
    if (cached !== undefined) return cached;
    const value = this.#decode(buffer, isCoded);
    if (INVALID_VALUE.test(value)) this.#invalid = true;
    else if (!this.#failed) CACHE.offer(buffer, this.#from, this.#at, value);
    return value;
  }

  /** Reads the length of a string; its bytes are then `[from, at)`. @returns whether they are Huffman-coded */
  #readLength(buffer: Buffer): boolean {
    if (this.#at >= this.#end) {
      this.#failed = true;
      return false;
    }
    const isCoded = (buffer[this.#at] as number) >= 0x80;
    const length = this.#readInteger(buffer, 0x7f);
    this.#from = this.#at;
    this.#at += length;
    if (this.#at > this.#end) this.#failed = true;
    return isCoded;
  }

  #decode(buffer: Buffer, isCoded: boolean): string {
    if (!isCoded) return buffer.toString('latin1', this.#from, this.#at);
    const length = decodeHuffman(buffer, this.#from, this.#at, scratch);
    if (length !== -1) return scratch.toString('latin1', 0, length);
    this.#failed = true;
    return '';
  }
}

/** A token in lower case, maybe behind the colon of a pseudo-header field (RFC 9113 section 8.2). */
function isFieldName(name: string): boolean {
  const start = name.charCodeAt(0) === COLON ? 1 : 0;
  for (let at = start; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    if (!isTokenByte(code) || (code >= UPPER_A && code <= UPPER_Z)) return false;
  }
  return name.length > start;
}
