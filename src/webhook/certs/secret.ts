/*
 * Reads and writes the Secret with the webhook's certificates. A write fails if another replica was faster. The chart contains
 * the Secret, so that the controller needs no permission to create Secrets.
 */
import { FIELD_MANAGER } from '../../api/kube/names.ts';
import type { KubeClient } from '../../cluster/client.ts';
import { readObject } from '../../cluster/objects.ts';
import { type ObjectRef, objectPath, SECRETS } from '../../cluster/paths.ts';
import { RefusedError } from '../../errors.ts';
import type { Certificates } from './renew.ts';

/** Content of the Secret. */
export interface StoredCertificates {
  /** Undefined if the Secret is empty or incomplete. */
  readonly certificates: Certificates | undefined;
  readonly resourceVersion: string;
}

const KEYS = {
  authorityCert: 'ca.crt',
  authorityKey: 'ca.key',
  previousAuthority: 'previous-ca.crt',
  servingCert: 'tls.crt',
  servingKey: 'tls.key',
} as const;

/** Reads the certificates. @throws RefusedError SP_KUBE_NOT_FOUND if the Secret does not exist; otherwise like {@link KubeClient.request} */
export async function readCertificates(client: KubeClient, ref: SecretRef, signal: AbortSignal): Promise<StoredCertificates> {
  const secret = await readObject(client, objectRef(ref), signal);
  if (secret === undefined) {
    throw new RefusedError(
      'SP_KUBE_NOT_FOUND',
      `Secret ${ref.namespace}/${ref.name} is missing; install the chart again, which contains it`,
    );
  }
  const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>;
  const decode = (key: string): string => {
    const value = data[key];
    return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
  };
  const authority = { certPem: decode(KEYS.authorityCert), keyPem: decode(KEYS.authorityKey) };
  const serving = { certPem: decode(KEYS.servingCert), keyPem: decode(KEYS.servingKey) };
  const previous = decode(KEYS.previousAuthority);
  const isComplete = [authority.certPem, authority.keyPem, serving.certPem, serving.keyPem].every((part) => part !== '');
  return {
    certificates: isComplete ? { authority, serving, ...(previous === '' ? {} : { previousAuthorityPem: previous }) } : undefined,
    resourceVersion: secret.metadata?.resourceVersion ?? '',
  };
}

/**
 * Replaces the certificates.
 * @param next the certificates, and the resourceVersion of the Secret that they are based on
 * @throws TransientError SP_KUBE_CONFLICT if the Secret has changed since
 */
export async function writeCertificates(
  client: KubeClient,
  ref: SecretRef,
  next: { readonly certificates: Certificates; readonly resourceVersion: string },
  signal: AbortSignal,
): Promise<void> {
  const { authority, serving, previousAuthorityPem } = next.certificates;
  const encode = (pem: string): string => Buffer.from(pem, 'utf8').toString('base64');
  await client.request({
    method: 'PATCH',
    path: objectPath(objectRef(ref)),
    query: { fieldManager: FIELD_MANAGER },
    contentType: 'application/merge-patch+json',
    body: {
      metadata: { resourceVersion: next.resourceVersion },
      data: {
        [KEYS.authorityCert]: encode(authority.certPem),
        [KEYS.authorityKey]: encode(authority.keyPem),
        [KEYS.previousAuthority]: previousAuthorityPem === undefined ? null : encode(previousAuthorityPem),
        [KEYS.servingCert]: encode(serving.certPem),
        [KEYS.servingKey]: encode(serving.keyPem),
      },
    },
    signal,
  });
}

/** Namespace and name of the Secret. */
export interface SecretRef {
  readonly namespace: string;
  readonly name: string;
}

function objectRef(ref: SecretRef): ObjectRef {
  return { resource: SECRETS, namespace: ref.namespace, name: ref.name };
}
