/*
 * Why no codec takes a request, in words. In: the text of a head that was refused. Out: one sentence, or nothing. The codec
 * itself only says 400; whoever wrote the file wants to know which line.
 */

const REQUEST_LINE = /^(\S+) (\S+) HTTP\/1\.1$/;
const FIELD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/;

/** What is probably wrong with `head`. @param head lines ended by CRLF, with the empty line at the end */
export function codecHint(head: string): string | undefined {
  const [first = '', ...fields] = head.replace(/(\r\n)+$/, '').split('\r\n');
  if (first === '') return 'there is no request';
  const [method, target, version] = first.split(' ');
  if (version !== undefined && /^HTTP\/(?!1\.1$)\d(\.\d)?$/.test(version)) return `the request line says ${version}: write HTTP/1.1`;
  if (target !== undefined && version === undefined) return `the request line has no version: write ${method ?? ''} ${target} HTTP/1.1`;
  if (!REQUEST_LINE.test(first)) return 'the first line must be METHOD TARGET HTTP/1.1, with one blank between them';
  // oxlint-disable-next-line no-control-regex -- everything but visible ASCII
  if (/[^\x21-\x7e]/.test(target ?? '')) return 'the target holds characters that must be percent-encoded';
  const index = fields.findIndex((field) => !FIELD.test(field));
  return index === -1 ? undefined : `line ${index + 2} is no header: Name: value is wanted`;
}
