/* Path normalization, path templates and queries. */
import type { PathNormalization } from '../../../src/api/mesh-config.ts';
import { pathOf } from '../../../src/filters/request-facts.ts';
import { normalizePath } from '../../../src/http/normalize/normalize-path.ts';
import { encodeQuery, queryParameter, withoutQueryParameter } from '../../../src/jwt/query.ts';
import { compilePathTemplate, isPathTemplate, parsePathTemplate } from '../../../src/policy/match/path-template.ts';
import { type FuzzTarget, hold } from '../target.ts';

const MODES: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];
/** Canonicalization may expose a `..;` that an escape or a backslash hid; a second pass would resolve it. */
const PARAMETER_AFTER_DOTS = /(?:^|\/)\.\.?;/;

function checkMode(target: string, mode: PathNormalization): void {
  const normal = normalizePath(target, mode);
  if (normal === undefined) {
    hold(target.includes('\0') || target.includes('%00'), 'only NUL has no normal form');
    return;
  }
  hold(normal.startsWith('/') && !normal.includes('#'), 'a normal form is a path, without fragment');
  const path = pathOf(normal);
  if (mode === 'NONE') return;
  hold(!/[^!-~]|[\\"<>^`{|}]/.test(path), 'no byte of a path is unsafe');
  hold(!path.split('/').some((segment) => segment === '.' || segment === '..'), 'no dot segment is left');
  // A path of two slashes is kept, as in Envoy.
  if (mode !== 'BASE') hold(path === '//' || !path.includes('//'), 'no slash is doubled');
  if (mode === 'DECODE_AND_MERGE_SLASHES') hold(!/%(?:2f|5c)/i.test(path), 'no slash is escaped');
  if (!PARAMETER_AFTER_DOTS.test(path)) hold(normalizePath(normal, mode) === normal, 'normalization is idempotent');
  hold(target.replace(/#.*/s, '').endsWith(normal.slice(path.length)), 'the query is unchanged');
}

/** The regular expression equivalent to a template. */
function templateAsRegExp(template: string): RegExp {
  const operators: Readonly<Record<string, string>> = {
    '{*}': "[A-Za-z0-9\\-._~%!$&'()+,;:@=*]+",
    '{**}': "[A-Za-z0-9\\-._~%!$&'()+,;:@=*/]*",
  };
  return new RegExp(
    `^${template.replace(/\{\*\*?\}|[^A-Za-z0-9]/g, (found) => operators[found] ?? `\\x${found.charCodeAt(0).toString(16).padStart(2, '0')}`)}$`,
  );
}

export const paths: FuzzTarget = {
  name: 'paths',
  properties:
    'normal forms are safe, free of dot segments and idempotent; templates match as their regular expression; a query loses one parameter only',
  seeds: [
    '/',
    '/a/../b//c/%2e%2e/d?x=/../y#f',
    '/a%2fb%5Cc\\d',
    '/a;b=c/..;/d',
    '/%41%7e%%41%42',
    '/x?access_token=T&b=2&a=%20x&&=',
    '/a/{*}/b/{**}\0/a/x/b/c/d',
    '/{**}/x\0/a/x',
  ],
  dictionary: [
    '/',
    '//',
    '..',
    '/./',
    '/../',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%25',
    '%00',
    '\\',
    ';',
    '..;',
    '?',
    '#',
    '&',
    '=',
    'access_token=',
    '%',
    '%4',
    '{*}',
    '{**}',
    '%2',
    '5c',
    '\0',
  ],
  regressions: ['/\\', '/%%32F', '/.%2e;/..;', '/%2%65%2e'],
  run(input) {
    const target = `/${input.replace(/^\/+/, '')}`;
    for (const mode of MODES) checkMode(target, mode);
    const rest = encodeQuery(withoutQueryParameter(input, 'access_token'));
    if (queryParameter(input, 'access_token') === undefined && !input.includes('?'))
      hold(rest === input, 'a target without a query is unchanged');
    hold(!rest.includes('?') || !/[^!-~]/.test(rest.slice(rest.indexOf('?'))), 'a rebuilt query is visible ASCII');
    const [template = '', path = ''] = input.split('\0');
    const parsed = isPathTemplate(template) ? parsePathTemplate(template) : undefined;
    // A second operator of the same segment makes a regular expression slow, not the matcher.
    if (parsed !== undefined && parsed.pieces.length < 6 && path.length < 200) {
      hold(compilePathTemplate(parsed)(path) === templateAsRegExp(template).test(path), 'a template matches as its regular expression');
    }
  },
};
