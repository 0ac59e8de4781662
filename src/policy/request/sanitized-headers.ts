/*
 * Which request headers belong to the JWT rules' outputs and therefore must not come from a client. In: providers of a
 * program. Out: header names; removed by the jwt room before anything else, also when no token is present.
 */
import type { JwtProvider } from '../model/program.ts';

/** Lower-case names of every `outputPayloadToHeader` and `outputClaimToHeaders[].header`, each once, in provider order. */
export function sanitizedHeaders(providers: readonly JwtProvider[]): readonly string[] {
  const names = new Set<string>();
  for (const provider of providers) {
    if (provider.payloadHeader !== '') names.add(provider.payloadHeader);
    for (const { header } of provider.claimHeaders) names.add(header);
  }
  return [...names];
}
