/*
 * Checks the headers that JWT rules wrote before a request is forwarded.
 */

import { isChangeableRequestHeader } from '../http/header-changes.ts';
import type { HeaderList } from '../http/header-list.ts';
import { outputsOf } from '../jwt/token-rule.ts';
import type { JwtProvider } from '../policy/model/program.ts';

/** Envoy's message about the first header that cannot be sent; `undefined`: all can. */
export type OutputTest = (headers: HeaderList) => string | undefined;

const TOKEN = /^[\w!#$%&'*+\-.^`|~]+$/;
// oxlint-disable-next-line no-control-regex -- control bytes are what is searched for
const CONTROL_BYTE = /[\0-\x08\x0a-\x1f\x7f]/;

/**
 * A test of the headers that `providers` write. It is needed because Istio's admission accepts any name for
 * `outputPayloadToHeader`, and a claim may contain any string.
 */
export function createOutputTest(providers: readonly JwtProvider[]): OutputTest {
  const outputs = new Set(providers.flatMap((provider) => [...outputsOf(provider)]));
  if (outputs.size === 0) return () => undefined;
  const unsendable = new Set([...outputs].filter((name) => !TOKEN.test(name) || !isChangeableRequestHeader(name)));
  return (headers) => {
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      if (!outputs.has(name)) continue;
      if (unsendable.has(name)) return `invalid header name: ${name}`;
      if (CONTROL_BYTE.test(headers[i + 1] as string)) return `invalid header value for: ${name}`;
    }
    return undefined;
  };
}
