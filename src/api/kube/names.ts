/*
 * All names that Sallyport shares with Kubernetes: API groups, resource names, labels, annotations, data keys.
 */

/** API group of both policy kinds. */
export const SECURITY_GROUP = 'security.istio.io';
/** Served versions of both kinds; the first one is the storage version. */
export const SECURITY_VERSIONS: readonly ['v1', 'v1beta1'] = ['v1', 'v1beta1'];
/** Resource name of RequestAuthentication. */
export const REQUEST_AUTHENTICATION_PLURAL = 'requestauthentications';
/** Resource name of AuthorizationPolicy. */
export const AUTHORIZATION_POLICY_PLURAL = 'authorizationpolicies';

/** Field manager of everything that the controller applies. */
export const FIELD_MANAGER = 'sallyport-controller';

/** Label on a Namespace or a pod template: `enabled` requests injection, `disabled` (pods only) opts out. */
export const INJECTION_LABEL = 'sallyport.dev/injection';
/** Annotation on an injected pod: an `InjectionStatus` of agent-contract as JSON. A pod with this annotation has an agent. */
export const AGENT_ANNOTATION = 'sallyport.dev/agent';
/** Annotation that the controller sets to the bundle digest so that the kubelet refreshes the bundle volume immediately. */
export const BUNDLE_TOUCH_ANNOTATION = 'sallyport.dev/bundle-digest';
/** Annotation on a pod (template): comma-separated container ports that the agent captures besides the declared ones. */
export const INCLUDE_PORTS_ANNOTATION = 'sallyport.dev/include-inbound-ports';
/** Annotation on a pod (template): comma-separated container ports that are never captured. */
export const EXCLUDE_PORTS_ANNOTATION = 'sallyport.dev/exclude-inbound-ports';
/** Istio's annotation: the ports that are captured; every other port bypasses the agent. `*`: all ports. */
export const ISTIO_INCLUDE_PORTS_ANNOTATION = 'traffic.sidecar.istio.io/includeInboundPorts';
/** Annotation on a pod (template): `false` keeps its probes unchanged; they then go through the agent and policies apply to them. */
export const REWRITE_PROBES_ANNOTATION = 'sallyport.dev/rewrite-probes';
/** Annotation on a pod (template): `on` or `off`, see `AnnotationBounds` for what an operator allows. */
export const ACCESS_LOG_ANNOTATION = 'sallyport.dev/access-log';
/** Annotation on a pod (template): share of allowed requests that its agent logs, 0 to 1. */
export const ACCESS_LOG_SAMPLE_RATE_ANNOTATION = 'sallyport.dev/access-log-sample-rate';
/** Annotation on a pod (template): `on` lets its agent serve clients that speak HTTP/1.0. */
export const ACCEPT_HTTP10_ANNOTATION = 'sallyport.dev/accept-http10';
/** Annotation on a pod (template): `on` lets its agent evaluate open streams again when the policy changes and when their token expires. */
export const REEVALUATE_STREAMS_ANNOTATION = 'sallyport.dev/reevaluate-streams';
/** Annotation on a pod (template): port on 127.0.0.1 for profiles of its agent. */
export const PROFILING_PORT_ANNOTATION = 'sallyport.dev/profiling-port';
/** Annotation on a pod (template): what the application speaks on all its ports, one of `APP_PROTOCOLS`. */
export const APP_PROTOCOL_ANNOTATION = 'sallyport.dev/app-protocol';
/** Annotation on a pod (template): log level of its agent. */
export const LOG_LEVEL_ANNOTATION = 'sallyport.dev/log-level';
/** Annotation on a pod (template): seconds that open requests have to finish when the pod stops. */
export const DRAIN_SECONDS_ANNOTATION = 'sallyport.dev/drain-seconds';
/** Annotation on a pod (template): maximum number of client connections of its agent. */
export const MAX_CONNECTIONS_ANNOTATION = 'sallyport.dev/max-connections';
/** Annotation on a pod (template): CPU request of the agent. */
export const AGENT_CPU_ANNOTATION = 'sallyport.dev/agent-cpu';
/** Annotation on a pod (template): CPU limit of the agent. */
export const AGENT_CPU_LIMIT_ANNOTATION = 'sallyport.dev/agent-cpu-limit';
/** Annotation on a pod (template): memory request of the agent. */
export const AGENT_MEMORY_ANNOTATION = 'sallyport.dev/agent-memory';
/** Annotation on a pod (template): memory limit of the agent. */
export const AGENT_MEMORY_LIMIT_ANNOTATION = 'sallyport.dev/agent-memory-limit';
/** Annotation on a pod (template): CPU request of the agent's init container. */
export const INIT_CPU_ANNOTATION = 'sallyport.dev/init-cpu';
/** Annotation on a pod (template): CPU limit of the agent's init container. */
export const INIT_CPU_LIMIT_ANNOTATION = 'sallyport.dev/init-cpu-limit';
/** Annotation on a pod (template): memory request of the agent's init container. */
export const INIT_MEMORY_ANNOTATION = 'sallyport.dev/init-memory';
/** Annotation on a pod (template): memory limit of the agent's init container. */
export const INIT_MEMORY_LIMIT_ANNOTATION = 'sallyport.dev/init-memory-limit';
/** Annotation on a pod (template): `periodSeconds` of the agent's readiness probe. */
export const READINESS_PERIOD_ANNOTATION = 'sallyport.dev/readiness-period-seconds';
/** Annotation on a pod (template): `timeoutSeconds` of the agent's readiness probe. */
export const READINESS_TIMEOUT_ANNOTATION = 'sallyport.dev/readiness-timeout-seconds';
/** Annotation on a pod (template): `failureThreshold` of the agent's readiness probe. */
export const READINESS_FAILURES_ANNOTATION = 'sallyport.dev/readiness-failure-threshold';
/** Annotation on a pod (template): `failureThreshold` of the agent's startup probe, which runs every second by default. */
export const STARTUP_FAILURES_ANNOTATION = 'sallyport.dev/startup-failure-threshold';
/** Annotation on a pod (template): whether its agent terminates TLS, one of `TLS_MODES`; not weaker than the mode of the installation. */
export const TLS_ANNOTATION = 'sallyport.dev/tls';
/** Annotation on a pod (template): Secret with the certificate, the key and the trust bundle of its agent. */
export const TLS_SECRET_ANNOTATION = 'sallyport.dev/tls-secret';
/** Annotation on a pod (template): volume of the pod with these files. */
export const TLS_VOLUME_ANNOTATION = 'sallyport.dev/tls-volume';
/** Annotation on a pod (template): comma-separated names of the files with the certificate, the key and the trust bundle. */
export const TLS_FILES_ANNOTATION = 'sallyport.dev/tls-files';
/** Annotation on a Deployment or Pod manifest in directory mode: `host:port` (or `http://host:port`) of the upstream behind its agent. */
export const UPSTREAM_ANNOTATION = 'sallyport.dev/upstream';
/** Annotation in directory mode: `host:port` that the agent listens on; absent: a free loopback port. */
export const LISTEN_ANNOTATION = 'sallyport.dev/listen';

/** Prefix of the names of bundles' ConfigMaps; reserved: an admission policy lets only the controller write objects with such names. */
export const BUNDLE_NAME_PREFIX = 'sallyport-bundle-';
/** Copies of the index of a namespace: a primary and an alternate. */
export const INDEX_COPIES = 2;
/** Label of a bundle's ConfigMap; marks it as a bundle. */
export const BUNDLE_LABEL = 'sallyport.dev/bundle';
/** Label of a bundle's ConfigMap: the workload's name, see `workloadLabelValue`. */
export const WORKLOAD_LABEL = 'sallyport.dev/workload';
/** Annotation of the ConfigMap for agents that an earlier version injected: kind of the workload in lower case. */
export const WORKLOAD_KIND_ANNOTATION = 'sallyport.dev/workload-kind';
/** Kubernetes' label for the tool that manages an object. */
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
/** Value of {@link MANAGED_BY_LABEL}. */
export const MANAGED_BY = 'sallyport';
/** Name of each Report and of the ClusterReport of openreports.io. */
export const REPORT_NAME = 'sallyport';
/** Annotation of a bundle's ConfigMap: SHA-256 digest of the bundle. */
export const DIGEST_ANNOTATION = 'sallyport.dev/digest';

/** Key of the bundle (plain JSON) in the data of its ConfigMap, and its file name in the mounted volume. */
export const BUNDLE_KEY = 'bundle.json';
/** Key and file name of the digest: `sha256:` and the hexadecimal digest of the plain JSON. */
export const BUNDLE_DIGEST_KEY = 'bundle.sha256';
/** Key of the gzipped bundle in `binaryData`; replaces {@link BUNDLE_KEY} if the plain JSON is large. */
export const BUNDLE_GZIP_KEY = 'bundle.json.gz';

/** Name of the Secret with the signing keys, in the release namespace. */
export const SIGNING_KEYS_SECRET = 'sallyport-signing-keys';
/** Key of the document in that Secret. */
export const SIGNING_KEYS_KEY = 'keys.json';
/** Slots of one bundle: two hold parts of a large one, the third replaces one that others hold. */
export const BUNDLE_SLOTS = 3;
/** Key and file name of the signed statement of a slot. */
export const SLOT_STATEMENT_KEY = 'statement.jws';
/** Key and file name of the lists of signing keys of a slot. */
export const SLOT_KEYS_KEY = 'keys.jws';
/** Key and file name of the part of the bundle in a slot. */
export const SLOT_PART_KEY = 'part';
/** The JSON of a bundle, in what the feed brings, in place of compressed parts. */
export const SLOT_PLAIN_KEY = 'plain';

/** Istio's label on the pods of a Gateway API gateway. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';
/** Annotation on a RequestAuthentication: each new value, such as a date, makes the controller fetch the keys of its rules. */
export const REFRESH_KEYS_ANNOTATION = 'sallyport.dev/refresh-keys';
/** Istio's dry-run annotation on an AuthorizationPolicy. */
export const DRY_RUN_ANNOTATION = 'istio.io/dry-run';
