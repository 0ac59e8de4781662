/*
 * Reads the pod's labels from a downward-API file.
 */
import { RefusedError } from '../../errors.ts';

/** Prefix, slash and name of a label's key. */
const LABEL_KEY_LENGTH = 317;
const LINE = /^([^=\s"]+)="([A-Za-z0-9._-]*)"$/;

/**
 * Labels by key from lines `key="value"`, as the kubelet writes them; an empty string has no labels.
 * @throws RefusedError SP_CONFIG when a line has another form
 */
export function parsePodLabels(text: string): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const parts = LINE.exec(line);
    if (parts === null || (parts[1] ?? '').length > LABEL_KEY_LENGTH)
      throw new RefusedError('SP_CONFIG', 'the labels file has a line that is not key="value"');
    entries.push([parts[1] ?? '', parts[2] ?? '']);
  }
  return Object.fromEntries(entries);
}
