/*
 * Path templates: `{*}` is one non-empty segment, `{**}` any rest. In: a policy value. Out: a compiled test without regular
 * expressions, linear in the path. Used by lower (validity) and decide.
 * @see Envoy uri_template matcher; Istio validation of paths
 */

export type Piece = { readonly kind: 'literal'; readonly text: string } | { readonly kind: 'segment' } | { readonly kind: 'rest' };

/** A template cut at its operators; adjacent literal text is one piece. At most one `rest`, and only literals after it. */
export interface PathTemplate {
  readonly pieces: readonly Piece[];
}

const SLASH = 47;
const LITERAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()+,;:@=";
const LITERAL_BYTES: Uint8Array = tableOf(LITERAL);
const SEGMENT_BYTES: Uint8Array = tableOf(`${LITERAL}*`);

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(128);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/** Only such values are templates; every other value of `paths` is a string match. */
export function isPathTemplate(value: string): boolean {
  return value.includes('{*}') || value.includes('{**}');
}

/**
 * A template as it is meant: Istio takes the braces from operators, and for Envoy any segment `*` or `**` is one then. So `/{*}{*}` is
 * `/{**}`, and `/*` beside an operator is `/{*}`; admission refuses both, and what it lets pass stays as it is.
 * @see istio pilot/pkg/security/authz/matcher/template.go
 */
export function meantTemplate(value: string): string {
  const bare = value.replaceAll('{**}', '**').replaceAll('{*}', '*').split('/');
  if (bare.some((segment) => segment.includes('{'))) return value;
  return bare.map((segment) => (segment === '*' || segment === '**' ? `{${segment}}` : segment)).join('/');
}

/**
 * Reads a template. `undefined` when Envoy would refuse it: no leading slash, an empty segment inside, an operator after `{**}`
 * or as a part of a segment, or a byte outside the URI's own.
 */
export function parsePathTemplate(value: string): PathTemplate | undefined {
  if (!value.startsWith('/')) return undefined;
  const segments = value.slice(1).split('/');
  const pieces: Piece[] = [];
  let literal = '';
  let ended = false;
  for (const [index, segment] of segments.entries()) {
    literal += '/';
    if (segment === '{*}' || segment === '{**}') {
      if (ended) return undefined;
      ended = segment === '{**}';
      pieces.push({ kind: 'literal', text: literal }, { kind: ended ? 'rest' : 'segment' });
      literal = '';
    } else if (isLiteralSegment(segment) && (segment !== '' || index === segments.length - 1)) {
      literal += segment;
    } else return undefined;
  }
  if (literal !== '') pieces.push({ kind: 'literal', text: literal });
  return { pieces };
}

function isLiteralSegment(segment: string): boolean {
  return consistsOf(segment, 0, segment.length, LITERAL_BYTES);
}

function consistsOf(text: string, start: number, end: number, table: Uint8Array): boolean {
  for (let i = start; i < end; i++) {
    if (table[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** Compiles a template to a test on a normalised path without query. */
export function compilePathTemplate(template: PathTemplate): (path: string) => boolean {
  const { pieces } = template;
  const rest = pieces.findIndex((piece) => piece.kind === 'rest');
  const head = rest === -1 ? pieces : pieces.slice(0, rest);
  const last = rest === -1 ? undefined : pieces[rest + 1];
  const tail = last?.kind === 'literal' ? last.text : '';
  return (path) => {
    const at = matchHead(head, path);
    if (at === -1) return false;
    if (rest === -1) return at === path.length;
    const end = path.length - tail.length;
    return end >= at && path.endsWith(tail) && isRest(path, at, end);
  };
}

/** Index after the pieces, each of which can match in one way only; -1: no match. */
function matchHead(pieces: readonly Piece[], path: string): number {
  let at = 0;
  for (const piece of pieces) {
    if (piece.kind === 'literal') {
      if (!path.startsWith(piece.text, at)) return -1;
      at += piece.text.length;
    } else {
      const start = at;
      while (at < path.length && SEGMENT_BYTES[path.charCodeAt(at)] === 1) at++;
      if (at === start) return -1;
    }
  }
  return at;
}

function isRest(path: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code !== SLASH && SEGMENT_BYTES[code] !== 1) return false;
  }
  return true;
}
