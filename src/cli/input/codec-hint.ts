/*
 * Explains why the codec rejects a request head. The codec itself only returns a status; the author of the file needs the line.
 */
import { withoutTrailing } from '../../text.ts';

const REQUEST_LINE = /^(\S+) (\S+) HTTP\/1\.1$/;
const FIELD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/;

/**
 * One sentence on what is probably wrong with `head`; undefined: no fault found.
 * @param head lines ended by CRLF, with the empty line at the end
 */
export function codecHint(head: string): string | undefined {
  const [first = '', ...fields] = withoutTrailing(head, '\r\n').split('\r\n');
  if (first === '') return 'the request is empty';
  const [method, target, version] = first.split(' ');
  if (version !== undefined && /^HTTP\/(?!1\.1$)\d(\.\d)?$/.test(version)) return `the request line has ${version}: write HTTP/1.1`;
  if (target !== undefined && version === undefined) return `the request line has no version: write ${method ?? ''} ${target} HTTP/1.1`;
  if (!REQUEST_LINE.test(first)) return 'the first line must be METHOD TARGET HTTP/1.1, separated by single spaces';
  // oxlint-disable-next-line no-control-regex -- everything but visible ASCII
  if (/[^\x21-\x7e]/.test(target ?? '')) return 'the target has characters that must be percent-encoded';
  const index = fields.findIndex((field) => !FIELD.test(field));
  return index === -1 ? undefined : `line ${index + 2} is not a header: expected Name: value`;
}
