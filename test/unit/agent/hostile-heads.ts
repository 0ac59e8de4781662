/*
 * Request heads with small defects, for tests that compare the parser with others.
 */

/** A small generator with a fixed seed: the corpus is the same in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const BASES = [
  'GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n',
  'PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n',
  'DELETE http://h/a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nX-A: 1\r\nX-A: 2\r\n\r\n',
];
const PIECES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  '\0',
  '\x0b',
  '\x7f',
  '\x80',
  ',',
  ';',
  'x',
  '0',
  'HTTP/1.1',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: x\r\n',
  '\r\n\r\n',
];

/** Different heads, each unlike a valid one in one to three places (some happen to stay valid); the same in every run. */
export function hostileHeads(count: number): string[] {
  const random = generator(20_260_827);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const heads = new Set<string>(BASES);
  while (heads.size < count) {
    let text = pick(BASES);
    for (let edits = 1 + Math.floor(random() * 3); edits > 0; edits -= 1) {
      const at = Math.floor(random() * text.length);
      const removed = random() < 0.4 ? 1 + Math.floor(random() * 3) : 0;
      text = text.slice(0, at) + (random() < 0.7 ? pick(PIECES) : '') + text.slice(at + removed);
    }
    heads.add(text);
  }
  return [...heads];
}
