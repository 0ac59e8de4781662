/*
 * Whether the controller can give agents the addresses of pods, which `mesh.peerIdentity.podIP` asks for. Commands that evaluate policies with
 * the same file need none of it.
 */
import { RefusedError } from '../errors.ts';
import type { ControllerConfig } from './controller.ts';

/** The settings, unless agents would wait for addresses in vain, and every peer would be unknown. @throws RefusedError SP_CONFIG */
export function requireAddresses(config: ControllerConfig): ControllerConfig {
  const reason = whyNoAddresses(config);
  if (reason !== undefined) throw new RefusedError('SP_CONFIG', reason);
  return config;
}

/** Why there would be no addresses of pods although the settings ask for them; undefined: there would, or nothing asks. */
export function whyNoAddresses({ mesh, feed, watchNamespaces }: ControllerConfig): string | undefined {
  if (!mesh.peerIdentity.podIP) return undefined;
  // A pod of a namespace that is not read may get an address of one that is, unseen.
  if (watchNamespaces.length > 0) return 'mesh.peerIdentity.podIP: needs the pods of all namespaces; remove watchNamespaces';
  return feed.enabled ? undefined : 'mesh.peerIdentity.podIP: needs feed.enabled, by which agents learn the addresses of pods';
}
