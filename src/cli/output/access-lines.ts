/*
 * Prints lines of access logs for people: who asked for what, the decision, and the rule that decided or was nearest.
 */
import type { LogEntry } from '../live/agent-log.ts';
import { type Cell, formatRow, formatTable } from './table.ts';

const HEADER = ['TIME', 'POD', 'DECISION', 'STATUS', 'REQUEST', 'CLIENT', 'BY'];

/** All entries as one table; `''` without entries. */
export function formatEntries(entries: readonly LogEntry[], stream: NodeJS.WritableStream): string {
  return entries.length === 0 ? '' : formatTable(HEADER, entries.map(rowOf), stream);
}

/** One entry on one line, for a log that is followed. */
export function formatEntry(entry: LogEntry, stream: NodeJS.WritableStream): string {
  return `${formatRow(rowOf(entry), [], stream)}\n`;
}

function rowOf({ pod, fields }: LogEntry): readonly Cell[] {
  const decision = textOf(fields['decision']);
  const client = textOf(fields['remote.ip']) || textOf(fields['client.address']);
  const principal = textOf(fields['principal']) || textOf(fields['source.principal']);
  return [
    textOf(fields['time']),
    pod,
    { text: decision, style: decision === 'allow' ? 'green' : 'red' },
    textOf(fields['http.response.status_code']),
    `${textOf(fields['http.request.method'])} ${textOf(fields['server.address'])}${textOf(fields['url.path'])}`,
    principal === '' ? client : `${client} as ${principal}`,
    byOf(fields),
  ];
}

/** The rule that decided, the nearest one, or the details of the response. */
function byOf(fields: LogEntry['fields']): string {
  const policy = textOf(fields['policy']);
  if (policy !== '') return `${policy} rule ${textOf(fields['rule'])}`;
  const nearest = textOf(fields['nearest.policy']);
  const details = textOf(fields['details']);
  if (nearest === '') return details;
  return `no ALLOW rule; nearest ${nearest} rule ${textOf(fields['nearest.rule'])}: ${textOf(fields['nearest.clause'])}`;
}

function textOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : '';
}
