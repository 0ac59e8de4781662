/*
 * The Secret of the webhook's certificates. In: what the API server holds, or certificates to keep there. Out: certificates,
 * or a write that fails when somebody else was faster. Called by the keeper. The Secret itself comes with the chart, so that
 * the controller needs no right to make Secrets.
 */
import { FIELD_MANAGER } from '../../api/kube/names.ts';
import { readObject } from '../../cluster/apply.ts';
import type { KubeClient } from '../../cluster/client.ts';
import { type ObjectRef, objectPath, SECRETS } from '../../cluster/paths.ts';
import { RefusedError } from '../../errors.ts';
import type { Certificates } from './renew.ts';

export interface StoredCertificates {
  /** Undefined: the Secret is empty, or lacks a part. */
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

/** @throws RefusedError SP_KUBE_NOT_FOUND when there is no such Secret; otherwise as the client's requests */
export async function readCertificates(client: KubeClient, ref: SecretRef, signal: AbortSignal): Promise<StoredCertificates> {
  const secret = await readObject(client, objectRef(ref), signal);
  if (secret === undefined) {
    throw new RefusedError('SP_KUBE_NOT_FOUND', `Secret ${ref.namespace}/${ref.name} is missing; it is part of the installation`);
  }
  const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>;
  const text = (key: string): string => {
    const value = data[key];
    return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
  };
  const authority = { certPem: text(KEYS.authorityCert), keyPem: text(KEYS.authorityKey) };
  const serving = { certPem: text(KEYS.servingCert), keyPem: text(KEYS.servingKey) };
  const previous = text(KEYS.previousAuthority);
  const isWhole = [authority.certPem, authority.keyPem, serving.certPem, serving.keyPem].every((part) => part !== '');
  return {
    certificates: isWhole ? { authority, serving, ...(previous === '' ? {} : { previousAuthorityPem: previous }) } : undefined,
    resourceVersion: secret.metadata?.resourceVersion ?? '',
  };
}

/** Replaces the certificates. @param resourceVersion of the Secret they were derived from
 *  @throws TransientError SP_KUBE_CONFLICT when it has changed since */
export async function writeCertificates(
  client: KubeClient,
  ref: SecretRef,
  next: { readonly certificates: Certificates; readonly resourceVersion: string },
  signal: AbortSignal,
): Promise<void> {
  const { authority, serving, previousAuthorityPem } = next.certificates;
  const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
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

export interface SecretRef {
  readonly namespace: string;
  readonly name: string;
}

function objectRef(ref: SecretRef): ObjectRef {
  return { resource: SECRETS, namespace: ref.namespace, name: ref.name };
}
