/*
 * REST paths of the Kubernetes resources that Sallyport uses, below the API server's address, with escaped segments.
 */
import { AUTHORIZATION_POLICY_PLURAL, REQUEST_AUTHENTICATION_PLURAL, SECURITY_GROUP } from '../api/kube/names.ts';
import { InvariantError } from '../errors.ts';

/** A kind of object, as far as its REST path and `apiVersion` depend on it. */
export interface Resource {
  /** API group; `''` for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Lower-case plural, as in the URL. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Reference to one object. `namespace` is absent for cluster-scoped kinds. */
export interface ObjectRef {
  readonly resource: Resource;
  readonly namespace?: string;
  readonly name: string;
}

function define(apiVersion: string, kind: string, plural: string, namespaced = true): Resource {
  const slash = apiVersion.indexOf('/');
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind, plural, namespaced };
}

/** Pods. */
export const PODS: Resource = define('v1', 'Pod', 'pods');
/** Namespaces (cluster-scoped). */
export const NAMESPACES: Resource = define('v1', 'Namespace', 'namespaces', false);
/** ConfigMaps. */
export const CONFIG_MAPS: Resource = define('v1', 'ConfigMap', 'configmaps');
/** Services. */
export const SERVICES: Resource = define('v1', 'Service', 'services');
/** Secrets. */
export const SECRETS: Resource = define('v1', 'Secret', 'secrets');
/** Leases, for leader election. */
export const LEASES: Resource = define('coordination.k8s.io/v1', 'Lease', 'leases');
/** Events of events.k8s.io/v1. */
export const EVENTS: Resource = define('events.k8s.io/v1', 'Event', 'events');
/** MutatingWebhookConfigurations (cluster-scoped). */
export const MUTATING_WEBHOOK_CONFIGURATIONS: Resource = define(
  'admissionregistration.k8s.io/v1',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  false,
);
/** ValidatingWebhookConfigurations (cluster-scoped). */
export const VALIDATING_WEBHOOK_CONFIGURATIONS: Resource = define(
  'admissionregistration.k8s.io/v1',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
);
/** RequestAuthentications. */
export const REQUEST_AUTHENTICATIONS: Resource = define(`${SECURITY_GROUP}/v1`, 'RequestAuthentication', REQUEST_AUTHENTICATION_PLURAL);
/** AuthorizationPolicies. */
export const AUTHORIZATION_POLICIES: Resource = define(`${SECURITY_GROUP}/v1`, 'AuthorizationPolicy', AUTHORIZATION_POLICY_PLURAL);

/** Reports of openreports.io. */
export const REPORTS: Resource = define('openreports.io/v1alpha1', 'Report', 'reports');
/** ClusterReports of openreports.io (cluster-scoped). */
export const CLUSTER_REPORTS: Resource = define('openreports.io/v1alpha1', 'ClusterReport', 'clusterreports', false);

/** Value of an object's `apiVersion`: `v1`, `apps/v1`, … */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** Path of a collection. @param namespace absent: all namespaces, or a cluster-scoped resource */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${segment(namespace)}`;
  return `${root}${scope}/${resource.plural}`;
}

/** Path of one object. @throws InvariantError if the name is not a valid path segment, or if the namespace does not fit the resource's scope */
export function objectPath(ref: ObjectRef): string {
  if (ref.resource.namespaced !== (ref.namespace !== undefined)) {
    throw new InvariantError(`${ref.resource.kind} ${ref.name}: ${ref.resource.namespaced ? 'a namespace is needed' : 'has no namespace'}`);
  }
  return `${collectionPath(ref.resource, ref.namespace)}/${segment(ref.name)}`;
}

function segment(name: string): string {
  // The URL parser would resolve a dot segment, and the request would reach another resource.
  if (name === '' || name === '.' || name === '..') throw new InvariantError(`not a name of an object: "${name}"`);
  return encodeURIComponent(name);
}
