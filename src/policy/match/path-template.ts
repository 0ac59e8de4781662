/*
 * Path templates: `{*}` matches one non-empty segment, `{**}` any rest. The tests use no regular expressions and are linear in the path.
 * @see Envoy uri_template matcher; Istio validation of paths
 */

/** A part of a template: literal characters, `{*}` or `{**}`. */
export type Piece = { readonly kind: 'literal'; readonly value: string } | { readonly kind: 'segment' } | { readonly kind: 'rest' };

/** A template split at its operators; adjacent literal characters are one piece. At most one `rest`, followed by literals only. */
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

/** May `{*}` match the byte? */
export function isSegmentByte(code: number): boolean {
  return SEGMENT_BYTES[code] === 1;
}

/** Is this value of `paths` a template? Every other value is a string match. */
export function isPathTemplate(value: string): boolean {
  return value.includes('{*}') || value.includes('{**}');
}

/**
 * The template that Istio's translation gives: Istio removes the braces from operators, after which Envoy reads any segment `*` or `**`
 * as an operator. So `/{*}{*}` is `/{**}`, and `/*` in a template with an operator is `/{*}`. Admission rejects both; templates that it
 * accepts are returned unchanged.
 * @see istio pilot/pkg/security/authz/matcher/template.go
 */
export function effectiveTemplate(value: string): string {
  const bare = value.replaceAll('{**}', '**').replaceAll('{*}', '*').split('/');
  if (bare.some((segment) => segment.includes('{'))) return value;
  return bare.map((segment) => (segment === '*' || segment === '**' ? `{${segment}}` : segment)).join('/');
}

/**
 * Parses a template. `undefined`: Envoy rejects it, because of a missing leading slash, an empty segment inside, an operator after
 * `{**}` or as a part of a segment, or a byte that is not allowed in a URI path.
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
      pieces.push({ kind: 'literal', value: literal }, { kind: ended ? 'rest' : 'segment' });
      literal = '';
    } else if (isLiteralSegment(segment) && (segment !== '' || index === segments.length - 1)) {
      literal += segment;
    } else return undefined;
  }
  if (literal !== '') pieces.push({ kind: 'literal', value: literal });
  return { pieces };
}

function isLiteralSegment(segment: string): boolean {
  return consistsOf(segment, 0, segment.length, LITERAL_BYTES);
}

function consistsOf(value: string, start: number, end: number, table: Uint8Array): boolean {
  for (let i = start; i < end; i++) {
    if (table[value.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** Compiles a template to a test on a normalized path without query. */
export function compilePathTemplate(template: PathTemplate): (path: string) => boolean {
  const { pieces } = template;
  const rest = pieces.findIndex((piece) => piece.kind === 'rest');
  const head = rest === -1 ? pieces : pieces.slice(0, rest);
  const last = rest === -1 ? undefined : pieces[rest + 1];
  const tail = last?.kind === 'literal' ? last.value : '';
  return (path) => {
    const at = matchHead(head, path);
    if (at === -1) return false;
    if (rest === -1) return at === path.length;
    const end = path.length - tail.length;
    return end >= at && path.endsWith(tail) && isRest(path, at, end);
  };
}

/** Index after the pieces; -1: no match. Each piece can match in one way only. */
function matchHead(pieces: readonly Piece[], path: string): number {
  let at = 0;
  for (const piece of pieces) {
    if (piece.kind === 'literal') {
      if (!path.startsWith(piece.value, at)) return -1;
      at += piece.value.length;
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
