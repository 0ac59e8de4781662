/*
 * Folds the fragments of `changes/` into the section of a version.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Kinds of a fragment, in the order of the sections, with their headings. */
const KINDS = { security: 'Security', added: 'Added', changed: 'Changed', fixed: 'Fixed' } as const;

/** One fragment: its kind, and its text on one line. */
export interface Fragment {
  readonly file: string;
  readonly kind: keyof typeof KINDS;
  readonly text: string;
}

/** The fragments of a directory in the order of their names. @throws Error naming a file without a known kind or without text */
export function readFragments(directory: string): readonly Fragment[] {
  const files = readdirSync(directory).filter((file) => file.endsWith('.md'));
  return files.toSorted().map((file) => parseFragment(file, readFileSync(join(directory, file), 'utf8')));
}

/** @throws Error naming the file */
export function parseFragment(file: string, content: string): Fragment {
  const [first = '', ...lines] = content.split('\n');
  const kind = /^kind: (\w+)$/.exec(first)?.[1];
  if (kind === undefined || !Object.hasOwn(KINDS, kind)) {
    throw new Error(`changes/${file}: the first line must be "kind: ${Object.keys(KINDS).join('|')}", not "${first}"`);
  }
  const text = lines.join(' ').replaceAll(/\s+/g, ' ').trim();
  if (text === '') throw new Error(`changes/${file}: no text after the first line`);
  return { file, kind: kind as keyof typeof KINDS, text };
}

/** The section of a version: a heading with the date, and a list for each kind. */
export function sectionOf(version: string, date: string, fragments: readonly Fragment[]): string {
  const lists = Object.entries(KINDS).flatMap(([kind, heading]) => {
    const items = fragments.filter((fragment) => fragment.kind === kind).map(({ text }) => `- ${text}\n`);
    return items.length === 0 ? [] : [`### ${heading}\n\n${items.join('')}`];
  });
  return `## ${version} (${date})\n\n${lists.length === 0 ? 'No change that a user notices.\n' : lists.join('\n')}`;
}

/** The items of a section, see {@link sectionOf}. */
export function readSection(section: string): readonly Omit<Fragment, 'file'>[] {
  return Object.entries(KINDS).flatMap(([kind, heading]) => {
    const list = section.split(/^(?=### )/m).find((part) => part.startsWith(`### ${heading}\n`)) ?? '';
    return [...list.matchAll(/^- (.+)$/gm)].map(([, text = '']) => ({ kind: kind as Fragment['kind'], text }));
  });
}

/** The section of a version that a changelog has already; undefined if it has none. */
export function existingSection(changelog: string, version: string): string | undefined {
  const sections = changelog.split(/^(?=## )/m);
  return sections.find((section) => section.startsWith(`## ${version} (`));
}

const HEAD = '# Changelog\n\nWritten from the fragments in `changes/` at each release.';

/** The changelog with the new section above all others. @throws Error when it has a section of that version already */
export function foldInto(changelog: string, section: string): string {
  const version = /^## (\S+)/.exec(section)?.[1] ?? '';
  if (existingSection(changelog, version) !== undefined) throw new Error(`CHANGELOG.md has a section for ${version} already`);
  const older = changelog.split(/^(?=## )/m).filter((part) => part.startsWith('## '));
  return `${HEAD}\n\n${[section, ...older].map((part) => part.trimEnd()).join('\n\n')}\n`;
}
