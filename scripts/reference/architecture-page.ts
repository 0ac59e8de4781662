/*
 * The table of packages in docs/architecture.md, from the dependency rule. The rest of the page is written by hand.
 */
import { readFileSync } from 'node:fs';
import { PACKAGES } from '../dependencies/allowed-imports.ts';
import { code, markdownTable } from './markdown.ts';

const PAGE = new URL('../../docs/architecture.md', import.meta.url);
const BEGIN = '<!-- packages: begin, written by `npm run gen` from scripts/dependencies/allowed-imports.ts -->';
const END = '<!-- packages: end -->';

/** Text of docs/architecture.md with the table of the current rule. @throws Error when the page lacks the marks of the table */
export function architecturePage(): string {
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/architecture.md needs the lines ${BEGIN} and ${END}`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${packageTable()}\n${page.slice(end)}`;
}

function packageTable(): string {
  const rows = Object.entries(PACKAGES).map(([name, { job, imports = [], types = [], npm = [] }]) => [
    code(name),
    job,
    [...imports.map(code), ...types.map((type) => `${code(type)} (types)`)].join(', '),
    npm.map(code).join(', '),
  ]);
  return markdownTable(['package', 'job', 'may import', 'npm packages'], rows);
}
