/*
 * Changes the header fields of a response or reply that is on its way to the client. In: the head and the changes that an
 * external authorizer asked for. Out: the head to write. Called by the client connection.
 */
import { changeHeaders, type HeaderChange } from '../../http/header-changes.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ResponseHead } from './response-head.ts';

/** `head` with `changes` made to its fields; framing is never touched. */
export function changeFields(head: ResponseHead, changes: readonly HeaderChange[]): ResponseHead {
  if (changes.length === 0) return head;
  const flat = head.fields.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(': ');
    return colon === -1 ? [] : [line.slice(0, colon), line.slice(colon + 2)];
  });
  const changed = changeHeaders(flat, changes);
  let fields = '';
  for (let at = 0; at < changed.length; at += 2) fields += `${changed[at] ?? ''}: ${changed[at + 1] ?? ''}\r\n`;
  return { ...head, fields };
}

/** `reply` with `changes` made to its headers. */
export function changeReply(reply: LocalReply, changes: readonly HeaderChange[]): LocalReply {
  return changes.length === 0 ? reply : { ...reply, headers: changeHeaders(reply.headers, changes) };
}
