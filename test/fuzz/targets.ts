/* All fuzz targets in the order of a run. */
import type { FuzzTarget } from './target.ts';
import { addresses } from './targets/addresses.ts';
import { bundle } from './targets/bundle.ts';
import { clientCert } from './targets/client-cert.ts';
import { keySet } from './targets/key-set.ts';
import { manifest } from './targets/manifest.ts';
import { paths } from './targets/paths.ts';
import { request } from './targets/request.ts';
import { chunks, requestHead } from './targets/request-head.ts';
import { token } from './targets/token.ts';

export const TARGETS: readonly FuzzTarget[] = [addresses, paths, chunks, requestHead, request, clientCert, token, keySet, bundle, manifest];
