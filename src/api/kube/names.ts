/*
 * Every name that the product shares with Kubernetes: groups, plurals, labels, annotations, object names. No logic
 * beyond naming. Used by every room that touches an object's metadata.
 */

export const SECURITY_GROUP = 'security.istio.io';
export const SECURITY_VERSIONS: readonly ['v1', 'v1beta1'] = ['v1', 'v1beta1'];
export const REQUEST_AUTHENTICATION_PLURAL = 'requestauthentications';
export const AUTHORIZATION_POLICY_PLURAL = 'authorizationpolicies';

/** Field manager of everything the controller applies. */
export const FIELD_MANAGER = 'sallyport-controller';

/** On a Namespace or a pod template: `enabled` asks for injection, `disabled` (pod only) refuses it. */
export const INJECTION_LABEL = 'sallyport.dev/injection';
/** Annotation on an injected pod: JSON of what was injected ({@link InjectionStatus} of the webhook room); its presence says that the pod has an agent. */
export const AGENT_ANNOTATION = 'sallyport.dev/agent';
/** Annotation the controller touches (value: bundle digest) so that the kubelet refreshes the bundle volume at once. */
export const BUNDLE_TOUCH_ANNOTATION = 'sallyport.dev/bundle-digest';
/** Annotation on a pod (template): comma-separated container ports that the agent captures besides the declared ones. */
export const INCLUDE_PORTS_ANNOTATION = 'sallyport.dev/include-inbound-ports';
/** Annotation on a pod (template): comma-separated container ports that are never captured. */
export const EXCLUDE_PORTS_ANNOTATION = 'sallyport.dev/exclude-inbound-ports';
/** Annotation on a pod (template): `false` leaves its probes as they are; they then come through the agent and policies apply to them. */
export const REWRITE_PROBES_ANNOTATION = 'sallyport.dev/rewrite-probes';
/** Annotation on a Deployment or Pod manifest in directory mode: `host:port` (or `http://host:port`) of the upstream that its agent guards. */
export const UPSTREAM_ANNOTATION = 'sallyport.dev/upstream';
/** Annotation in directory mode: `host:port` that the agent listens on; absent: a free loopback port. */
export const LISTEN_ANNOTATION = 'sallyport.dev/listen';

/** Labels of a bundle's ConfigMap. */
export const BUNDLE_LABEL = 'sallyport.dev/bundle';
export const WORKLOAD_LABEL = 'sallyport.dev/workload';
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'sallyport';
/** Annotation of a bundle's ConfigMap: full sha256 digest of the bundle. */
export const DIGEST_ANNOTATION = 'sallyport.dev/digest';

/** Data key of the bundle in its ConfigMap (plain JSON) and its name as a file in the mounted volume. */
export const BUNDLE_KEY = 'bundle.json';
/** `sha256:` + hex digest of the plain JSON, beside it in ConfigMap and volume. */
export const BUNDLE_DIGEST_KEY = 'bundle.sha256';
/** The same JSON, gzip, in `binaryData` instead of {@link BUNDLE_KEY}, when plain JSON is large. */
export const BUNDLE_GZIP_KEY = 'bundle.json.gz';

/** Marks a pod of a Gateway API gateway (Istio's own label). */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';
/** Istio's dry-run annotation on an AuthorizationPolicy. */
export const DRY_RUN_ANNOTATION = 'istio.io/dry-run';
