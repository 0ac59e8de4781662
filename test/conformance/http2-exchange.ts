/*
 * Sends a recorded request over HTTP/2 and reads its response.
 */
import type { Socket } from 'node:net';
import { HpackDecoder } from '../../src/agent/http2/hpack/decoder.ts';
import { END, type Field, frame, headers, OPEN, RawHttp2Client, TYPE } from '../support/http2-frames.ts';
import type { RecordedRequest } from './case-file.ts';
import type { Answer } from './proxy.ts';

const STREAM = 1;
const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** Sends `recorded` on a connection that was just opened. @throws Error when the connection ends without a response */
export async function exchangeHttp2(to: Socket, recorded: RecordedRequest, scheme: string): Promise<Answer> {
  const { method = 'GET', path = '/', host = '', headers: sent = [], body = '' } = recorded;
  const fields: Field[] = [
    [':method', method],
    [':scheme', scheme],
    [':path', latin1(path)],
    ...(host === '-' ? [] : [[':authority', latin1(host)] as const]),
    ...sent.map(([name, value]) => [name.toLowerCase(), latin1(value)] as const),
  ];
  const client = new RawHttp2Client(to);
  client.send(headers(STREAM, fields, body === '' ? END : OPEN));
  if (body !== '') client.send(frame(TYPE.data, 1, STREAM, Buffer.from(body, 'utf8')));
  try {
    return answerOf(await client.response(STREAM));
  } finally {
    client.close();
  }
}

function answerOf(frames: Awaited<ReturnType<RawHttp2Client['response']>>): Answer {
  const decoder = new HpackDecoder({ listBytes: 100_000, fields: 1000 });
  let answer: Answer | undefined;
  let body = '';
  for (const { type, payload } of frames) {
    if (type === TYPE.data) body += payload.toString('latin1');
    if (type !== TYPE.headers) continue;
    const list = decoder.decode(payload, 0, payload.length);
    if (typeof list === 'string') throw new Error(`the header block cannot be read: ${list}`);
    const status = Number(list[1]);
    const pairs = list.flatMap((name, at) => (at % 2 === 0 && at > 0 ? [[name, list[at + 1] ?? ''] as const] : []));
    if (status >= 200) answer = { status, headers: pairs, body: '' };
  }
  if (answer === undefined) throw new Error('the stream was reset');
  return { ...answer, body };
}
