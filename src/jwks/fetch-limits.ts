/*
 * The limits of key fetches from the configuration, for the controller and for `sallyport run` alike.
 */
import { getCACertificates } from 'node:tls';
import { RefusedError } from '../errors.ts';
import { readRegularFile } from '../regular-file.ts';
import { createAddressGuards, type GuardSettings } from './address-guard.ts';
import type { FetchLimits } from './fetch-document.ts';
import { type Environment, proxiesOfEnvironment } from './forward-proxy.ts';
import { createHostResolver } from './resolve-host.ts';

/** The part of the configuration that limits key fetches. */
export interface FetchSettings extends GuardSettings {
  /** File of additional certificate authorities in PEM; absent: none. */
  readonly caFile?: string;
}

const MAX_JWKS_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 5;
const MAX_CA_BYTES = 4 * 1024 * 1024;

/**
 * Limits with the authorities of Node.js and those of the file, and the forward proxy of the environment.
 * @throws RefusedError SP_CONFIG when the file cannot be read, or a variable does not name a proxy
 */
export async function readFetchLimits(settings: FetchSettings, env: Environment = process.env): Promise<FetchLimits> {
  const proxyOf = proxiesOfEnvironment(env);
  const limits = {
    ...(proxyOf === undefined ? {} : { proxyOf }),
    guards: createAddressGuards(settings),
    maxBytes: MAX_JWKS_BYTES,
    maxRedirects: MAX_REDIRECTS,
    // A laptop may resolve names in ways that only its system resolver knows.
    ...(settings.isLocal === true ? {} : { resolveHost: await createHostResolver() }),
  };
  const { caFile } = settings;
  if (caFile === undefined) return limits;
  const authorities = await readRegularFile(caFile, MAX_CA_BYTES).catch((cause: unknown) => {
    throw new RefusedError('SP_CONFIG', `jwks.caFile: cannot read ${caFile}`, { cause });
  });
  return { ...limits, trustedCa: [...getCACertificates('default'), authorities] };
}
