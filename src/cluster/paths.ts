/*
 * REST paths of the Kubernetes resources that the product touches. In: a resource, a namespace, a name. Out: the path
 * below the API server's address, every segment escaped. Used by everything here that sends a request, and by its callers.
 */
import { AUTHORIZATION_POLICY_PLURAL, REQUEST_AUTHENTICATION_PLURAL, SECURITY_GROUP } from '../api/kube/names.ts';
import { InvariantError, RefusedError } from '../errors.ts';

/** What a path needs to know of a kind. */
export interface Resource {
  /** API group; `''` for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Lower-case plural, as in the URL. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Which object: `namespace` is absent for cluster-scoped kinds. */
export interface ObjectRef {
  readonly resource: Resource;
  readonly namespace?: string;
  readonly name: string;
}

function define(apiVersion: string, kind: string, plural: string, namespaced = true): Resource {
  const slash = apiVersion.indexOf('/');
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind, plural, namespaced };
}

export const PODS: Resource = define('v1', 'Pod', 'pods');
export const NAMESPACES: Resource = define('v1', 'Namespace', 'namespaces', false);
export const CONFIG_MAPS: Resource = define('v1', 'ConfigMap', 'configmaps');
export const SECRETS: Resource = define('v1', 'Secret', 'secrets');
export const SERVICES: Resource = define('v1', 'Service', 'services');
export const SERVICE_ACCOUNTS: Resource = define('v1', 'ServiceAccount', 'serviceaccounts');
export const DEPLOYMENTS: Resource = define('apps/v1', 'Deployment', 'deployments');
export const REPLICA_SETS: Resource = define('apps/v1', 'ReplicaSet', 'replicasets');
export const JOBS: Resource = define('batch/v1', 'Job', 'jobs');
export const LEASES: Resource = define('coordination.k8s.io/v1', 'Lease', 'leases');
export const EVENTS: Resource = define('events.k8s.io/v1', 'Event', 'events');
export const ROLES: Resource = define('rbac.authorization.k8s.io/v1', 'Role', 'roles');
export const ROLE_BINDINGS: Resource = define('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings');
export const CLUSTER_ROLES: Resource = define('rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles', false);
export const CLUSTER_ROLE_BINDINGS: Resource = define('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'clusterrolebindings', false);
export const CUSTOM_RESOURCE_DEFINITIONS: Resource = define(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
);
export const MUTATING_WEBHOOK_CONFIGURATIONS: Resource = define(
  'admissionregistration.k8s.io/v1',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  false,
);
export const VALIDATING_WEBHOOK_CONFIGURATIONS: Resource = define(
  'admissionregistration.k8s.io/v1',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
);
export const REQUEST_AUTHENTICATIONS: Resource = define(`${SECURITY_GROUP}/v1`, 'RequestAuthentication', REQUEST_AUTHENTICATION_PLURAL);
export const AUTHORIZATION_POLICIES: Resource = define(`${SECURITY_GROUP}/v1`, 'AuthorizationPolicy', AUTHORIZATION_POLICY_PLURAL);

const KNOWN: readonly Resource[] = [
  PODS,
  NAMESPACES,
  CONFIG_MAPS,
  SECRETS,
  SERVICES,
  SERVICE_ACCOUNTS,
  DEPLOYMENTS,
  REPLICA_SETS,
  JOBS,
  LEASES,
  EVENTS,
  ROLES,
  ROLE_BINDINGS,
  CLUSTER_ROLES,
  CLUSTER_ROLE_BINDINGS,
  CUSTOM_RESOURCE_DEFINITIONS,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
  REQUEST_AUTHENTICATIONS,
  AUTHORIZATION_POLICIES,
];

/** `v1`, `apps/v1`, ... as an object's `apiVersion` field holds it. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** The resource of an object by its `apiVersion` and `kind`; any version of a known group and kind is taken as it stands.
 *  @throws RefusedError SP_KUBE_INVALID for a kind that the product does not touch. */
export function resourceOf(apiVersion: string, kind: string): Resource {
  const version = apiVersion.slice(apiVersion.indexOf('/') + 1);
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  const known = KNOWN.find((resource) => resource.kind === kind && resource.group === group);
  if (known === undefined) throw new RefusedError('SP_KUBE_INVALID', `no REST path is known for ${apiVersion} ${kind}`);
  return version === known.version ? known : { ...known, version };
}

/** Path of a collection; without `namespace`, a namespaced resource is meant across all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${segment(namespace)}`;
  return `${root}${scope}/${resource.plural}`;
}

/** Path of one object. */
export function objectPath(ref: ObjectRef): string {
  if (ref.resource.namespaced !== (ref.namespace !== undefined)) {
    throw new InvariantError(`${ref.resource.kind} ${ref.name}: ${ref.resource.namespaced ? 'a namespace is needed' : 'has no namespace'}`);
  }
  return `${collectionPath(ref.resource, ref.namespace)}/${segment(ref.name)}`;
}

function segment(text: string): string {
  // A dot segment would be folded by the URL parser and reach another resource.
  if (text === '' || text === '.' || text === '..') throw new InvariantError(`not a name of an object: "${text}"`);
  return encodeURIComponent(text);
}
