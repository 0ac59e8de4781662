/*
 * What tokens wrote into the head of a request, looked at before it goes upstream. In: the JWT rules of a program. Out: a
 * test of heads. Made once by the judge.
 */

import { isChangeableRequestHeader } from '../http/header-changes.ts';
import { outputsOf } from '../jwt/token-rule.ts';
import type { JwtProvider } from '../policy/model/program.ts';

/** Envoy's words for the first header (flat list) that cannot be sent; `undefined`: all can. */
export type OutputTest = (headers: readonly string[]) => string | undefined;

const TOKEN = /^[\w!#$%&'*+\-.^`|~]+$/;
// oxlint-disable-next-line no-control-regex -- control octets are the matter
const CONTROL_OCTET = /[\0-\x08\x0a-\x1f\x7f]/;

/**
 * A test of the headers that `providers` write, which no client can send. Istio's admission takes any name for
 * `outputPayloadToHeader`, and claims hold any text.
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
      if (CONTROL_OCTET.test(headers[i + 1] as string)) return `invalid header value for: ${name}`;
    }
    return undefined;
  };
}
