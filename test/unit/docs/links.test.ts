import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '../../..');
const SKIPPED: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage', '.git', '.cache']);

/** All pages of the repository. */
function pagesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : pagesBelow(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** Text without code, in which brackets are no links. */
function proseOf(page: string): string {
  return readFileSync(page, 'utf8')
    .replaceAll(/^```[^]*?^```/gm, '')
    .replaceAll(/`[^`\n]*`/g, '`code`');
}

/** The anchors of headings, as code hosts make them. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = readFileSync(page, 'utf8').replaceAll(/^```[^]*?^```/gm, '');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.replaceAll(/[`*]|\]\([^)]*\)|\[/g, ''));
  return new Set(
    headings.map((heading) =>
      heading
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('links between pages', () => {
  const pages = pagesBelow(root);

  it('lead to files and headings that exist', () => {
    const broken: string[] = [];
    let checked = 0;
    for (const page of pages) {
      for (const [, target = ''] of proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        checked += 1;
        const [path = '', anchor] = target.split('#');
        // Fragments become part of CHANGELOG.md.
        const base = relative(root, page).startsWith('changes/') ? root : dirname(page);
        const file = path === '' ? page : join(base, decodeURIComponent(path));
        const isThere = existsSync(file) && (anchor === undefined || (file.endsWith('.md') && anchorsOf(file).has(anchor)));
        if (!isThere) broken.push(`${relative(root, page)}: ${target}`);
      }
    }

    expect(checked).to.be.greaterThan(50);
    expect(broken).to.deep.equal([]);
  });
});
