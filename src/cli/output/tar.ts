/*
 * A tar archive of small text files in memory.
 * @see POSIX.1-2017, pax, "ustar Interchange Format"
 */

const BLOCK = 512;
const MAX_NAME = 100;

/** The archive. @param files text by name @throws RangeError for a name above 100 bytes */
export function tarOf(files: ReadonlyMap<string, string>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, text] of files) {
    const content = Buffer.from(text);
    parts.push(headerOf(name, content.length), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function headerOf(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME) throw new RangeError(`name of more than ${MAX_NAME} bytes: ${name}`);
  const header = Buffer.alloc(BLOCK);
  const put = (text: string, at: number): void => void Buffer.from(text).copy(header, at);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  put(name, 0);
  put(octal(0o644, 8), 100);
  for (const at of [108, 116]) put(octal(0, 8), at);
  put(octal(size, 12), 124);
  put(octal(0, 12), 136);
  // The checksum counts its own field as spaces.
  put(' '.repeat(8), 148);
  put('0', 156);
  put('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${octal(sum, 7)} `, 148);
  return header;
}
