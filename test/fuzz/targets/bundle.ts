/* Bundles of any bytes; the digest always matches, so that the code behind the check is reached. */
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY } from '../../../src/api/kube/names.ts';
import { decodeBundle } from '../../../src/bundle/decode.ts';
import { digestOf } from '../../../src/bundle/digest.ts';
import { encodeBundle } from '../../../src/bundle/encode.ts';
import { RefusedError } from '../../../src/errors.ts';
import { createFilterChain } from '../../../src/filters/filter-chain.ts';
import { SAMPLE } from '../../unit/bundle/sample-bundle.ts';
import { raw } from '../../unit/filters/chains.ts';
import { type FuzzTarget, hold } from '../target.ts';

function decoded(files: Readonly<Record<string, Uint8Array>>): ReturnType<typeof decodeBundle> | undefined {
  try {
    return decodeBundle(files);
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

export const bundle: FuzzTarget = {
  name: 'bundle',
  properties: 'a bundle is accepted or refused; an accepted one round-trips, and its filter chain never throws',
  seeds: [encodeBundle(SAMPLE).json],
  dictionary: [
    'program',
    'programs',
    'anyOf',
    'noneOf',
    'kind',
    'exact',
    'prefix',
    'suffix',
    'present',
    'template',
    '/a/{**}',
    '{*}',
    'attribute',
    'claim',
    'header',
    '10.0.0.0/33',
    '__proto__',
    'labels',
    'keySets',
    'custom',
    'refusal',
  ],
  regressions: [],
  json: true,
  run(input) {
    const json = Buffer.from(input, 'latin1');
    const files = { [BUNDLE_KEY]: json, [BUNDLE_DIGEST_KEY]: Buffer.from(digestOf(json)) };
    decoded({ [BUNDLE_GZIP_KEY]: json, [BUNDLE_DIGEST_KEY]: Buffer.from(digestOf(json)) });
    const taken = decoded(files);
    if (taken === undefined) return;
    const { json: text, digest } = encodeBundle(taken.bundle);
    const again = decoded({ [BUNDLE_KEY]: Buffer.from(text), [BUNDLE_DIGEST_KEY]: Buffer.from(digest) });
    hold(again !== undefined && encodeBundle(again.bundle).json === text, 'an accepted bundle round-trips');
    for (const program of taken.bundle.programs) {
      const filterChain = createFilterChain(program, taken.bundle.keySets, {
        onBug: (error) => {
          throw error;
        },
      });
      filterChain.evaluate(raw('/a/b', ['x', 'x', 'authorization', 'Bearer a.b.c']), 1);
      filterChain.evaluateConnection(raw('/').connection);
    }
  },
};
