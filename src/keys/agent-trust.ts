/*
 * Whether what an agent trusts is what this installation signs with. The creator of a pod writes its environment, so a pod may name any
 * root key: its agent would then enforce what the owner of that key signs, or nothing.
 */
import { thumbprint } from '../bundle/jws.ts';
import type { Signer } from '../bundle/signer.ts';
import { parseTrustAnchor, type TrustAnchor } from '../bundle/trust-anchor.ts';

/**
 * What is wrong with a trust anchor, as a phrase; undefined: the agent accepts what `signer` signs, and nothing else. All former root keys
 * count as ours: an agent that has run since then has followed every change.
 */
export function faultOfAnchor(text: string, signer: Signer): string | undefined {
  if (text === signer.anchor) return undefined;
  const anchor = anchorIn(text);
  if (anchor === undefined) return 'is not a trust anchor';
  if (anchor.cluster !== signer.cluster) return 'is of another cluster';
  const isOurs = anchor.roots.every((root) => signer.roots.has(thumbprint(root)));
  return isOurs ? undefined : 'has a root key that is not of this installation';
}

function anchorIn(text: string): TrustAnchor | undefined {
  try {
    return parseTrustAnchor(text);
  } catch {
    return undefined;
  }
}
