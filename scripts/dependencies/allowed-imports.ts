/*
 * The dependency rule: what each package of `src` may import. Anything that this table does not list is refused, a package
 * without a row included. `test/unit/scripts/dependencies` compares it with the real imports, `docs/architecture.md` shows
 * it, and `scripts/build.ts` takes the allow list and the size budget of the agent from it.
 */

/** What one package may import. An absent list allows nothing of that kind. */
export interface PackageRule {
  /** What the package is for, in one line of docs/architecture.md. */
  readonly job: string;
  /** Packages (or single files of `src`) that it may import, values and types. */
  readonly imports?: readonly string[];
  /** Packages of which it may import types only. */
  readonly types?: readonly string[];
  /** Module specifiers of npm packages, exactly as written: `zod/mini` does not allow `zod`. */
  readonly npm?: readonly string[];
  /** Node.js built-in modules. */
  readonly node?: readonly string[];
  /** Node.js built-in modules of which it may import types only. */
  readonly nodeTypes?: readonly string[];
}

/**
 * One row per directory directly below `src`, and per file there. Below `src/agent` each directory has its own row, too, and a file
 * may have one (`agent/context.ts`); its other files belong to `agent`. In reading order: a package imports from rows above it.
 */
export const PACKAGES: Readonly<Record<string, PackageRule>> = {
  'clock.ts': { job: 'time and timers as a value, so that tests can set them' },
  'errors.ts': { job: 'error codes, findings and error classes' },
  'fair-bytes.ts': { job: 'a number of bytes that groups share, so that none takes it from the others' },
  'libc.ts': { job: 'functions of the C library, through node:ffi', node: ['node:ffi'] },
  'plain-address.ts': { job: 'addresses of sockets as policies and pods have them' },
  'regular-file.ts': {
    job: 'reads regular files up to a limit, never a FIFO or a device',
    node: ['node:fs', 'node:fs/promises', 'node:path'],
  },
  'replace-file.ts': { job: 'replaces a file as a whole', node: ['node:fs/promises'] },
  'steps.ts': { job: 'long work in steps, so that a process serves requests in between' },
  'text.ts': { job: 'plain scans over text of others, linear in its length' },
  'version.ts': { job: 'the version of the product', imports: ['package.json'] },
  'fs-watch': { job: 'reports changes in directories', node: ['node:fs', 'node:fs/promises'] },
  limits: { job: 'limits, deadlines and periods of the agent; containers and timers that keep them', types: ['clock.ts'] },
  api: {
    job: 'the two policy kinds: schemas, parsing, validation, CRDs; Kubernetes names, workload identity, the agent contract',
    imports: ['errors.ts', 'text.ts'],
    npm: ['yaml', 'zod'],
    node: ['node:crypto'],
  },
  policy: {
    job: 'what a policy means: `lower` (policies to a program), `decide` (program and facts to a decision, with a trace), `match`',
    imports: ['steps.ts'],
    types: ['api', 'errors.ts'],
  },
  http: {
    job: 'what an HTTP message is, without sockets; how Envoy normalizes a request before the filters',
    imports: ['policy'],
    types: ['api'],
    node: ['node:crypto'],
  },
  bundle: {
    job: 'the wire form of a program: schema, canonical encoding, digest, size limits, verification',
    imports: ['api', 'errors.ts', 'limits', 'policy', 'steps.ts'],
    npm: ['zod/mini'],
    node: ['node:crypto', 'node:zlib'],
  },
  feed: {
    job: 'the protocol of the feed between controller and agent: frames, messages, bundles in parts',
    npm: ['zod/mini'],
    node: ['node:crypto'],
  },
  'feed-client': {
    job: 'the client end of a stream of the feed',
    imports: ['feed', 'limits'],
    node: ['node:https'],
    nodeTypes: ['node:stream'],
  },
  jwt: {
    job: 'tokens: extraction, verification, claims, key import, cache of verified tokens',
    imports: ['http', 'limits', 'policy', 'steps.ts', 'text.ts'],
    types: ['bundle'],
    node: ['node:buffer', 'node:crypto'],
  },
  filters: {
    job: 'one request or connection in, one verdict out: ext_authz, jwt_authn and rbac in order',
    imports: ['http', 'jwt', 'policy', 'steps.ts'],
    types: ['api', 'bundle'],
  },
  telemetry: {
    job: 'logger and metrics',
    imports: ['limits', 'text.ts', 'version.ts'],
    types: ['errors.ts'],
    npm: ['pino', 'prom-client'],
    node: ['node:fs', 'node:net', 'node:tty', 'node:util'],
  },
  config: {
    job: 'flags, environment and files to checked settings; the schema of the chart values',
    imports: ['api', 'bundle', 'errors.ts', 'limits'],
    types: ['telemetry'],
    npm: ['zod', 'zod/mini'],
    node: ['node:net', 'node:path', 'node:util'],
  },
  traces: {
    job: 'spans of the controller, and the export of spans by OTLP; loaded only when a collector is configured',
    imports: ['limits', 'text.ts'],
    types: ['api', 'clock.ts', 'http', 'telemetry'],
    node: ['node:async_hooks', 'node:crypto', 'node:http', 'node:https'],
  },
  'agent/net': {
    job: 'socket events, addresses, lingering close',
    imports: ['limits'],
    node: ['node:fs', 'node:net', 'node:os'],
  },
  'agent/context.ts': {
    job: 'what the parts of one agent share: active policy, limits, ext_authz client',
    imports: ['limits'],
    types: ['filters', 'http'],
  },
  'agent/http1': {
    job: 'the HTTP/1.1 codec, server and client side',
    imports: ['agent/net', 'http', 'limits'],
    types: ['clock.ts'],
    nodeTypes: ['node:net'],
  },
  'agent/http2': {
    job: 'the HTTP/2 codec, server and client side: frames, HPACK, flow control',
    imports: ['agent/net', 'http', 'limits'],
    types: ['clock.ts'],
    nodeTypes: ['node:net'],
  },
  'agent/ext-authz': {
    job: 'ext_authz clients over HTTP and gRPC',
    imports: ['api', 'errors.ts', 'filters', 'http', 'limits'],
    types: ['agent/context.ts', 'clock.ts', 'policy', 'telemetry'],
    npm: ['@grpc/grpc-js', '@grpc/proto-loader'],
    node: ['node:buffer', 'node:dns/promises', 'node:http'],
    nodeTypes: ['node:dns', 'node:net'],
  },
  'agent/exchange': {
    job: 'one request of any protocol: filters, ext_authz, upstream, record',
    imports: ['filters', 'http', 'limits'],
    types: ['agent/context.ts', 'clock.ts', 'policy'],
  },
  'agent/upstream': {
    job: 'connection pool to the application, choice of protocol',
    imports: ['limits'],
    types: ['clock.ts', 'http'],
  },
  'agent/tls': {
    job: 'TLS that the agent terminates: certificates, handshakes, peer identity; the ClientHello of other TLS',
    imports: ['agent/net', 'fs-watch', 'limits', 'regular-file.ts'],
    types: ['agent/http1', 'api', 'clock.ts', 'policy', 'telemetry'],
    node: ['node:crypto', 'node:path', 'node:tls'],
    nodeTypes: ['node:net'],
  },
  'agent/tcp': {
    job: 'opaque TCP streams under a connection verdict',
    imports: ['agent/net', 'agent/tls', 'limits'],
    types: ['agent/context.ts', 'agent/http1', 'clock.ts', 'filters', 'http', 'policy'],
    nodeTypes: ['node:net'],
  },
  'agent/listener': {
    job: 'accepts connections; wires codec, exchange and upstream together',
    imports: [
      'agent/exchange',
      'agent/http1',
      'agent/http2',
      'agent/net',
      'agent/tcp',
      'agent/tls',
      'agent/upstream',
      'api',
      'http',
      'libc.ts',
      'limits',
      'plain-address.ts',
    ],
    types: ['agent/context.ts', 'clock.ts', 'policy', 'telemetry'],
    node: ['node:net'],
  },
  'agent/bundles': {
    job: 'bundle sources (mounted volume, feed, last good one): read, verify, activate',
    imports: ['api', 'bundle', 'clock.ts', 'errors.ts', 'feed', 'feed-client', 'fs-watch', 'http', 'limits', 'replace-file.ts', 'steps.ts'],
    types: ['agent/context.ts', 'filters', 'policy', 'telemetry'],
    node: ['node:fs/promises', 'node:path'],
  },
  'agent/log': {
    job: 'access log and metrics of exchanges and TCP connections',
    imports: ['limits', 'policy'],
    types: ['agent/exchange', 'agent/tcp', 'agent/tls', 'clock.ts', 'filters', 'telemetry'],
  },
  'agent/traces': {
    job: 'spans of exchanges; loaded only when a collector is configured',
    imports: ['agent/log', 'http', 'traces'],
    types: ['agent/exchange', 'clock.ts', 'limits', 'policy', 'telemetry'],
  },
  'agent/admin': {
    job: 'health, metrics and application probes over HTTP',
    imports: ['agent/http1', 'agent/net', 'api', 'limits', 'telemetry'],
    types: ['clock.ts', 'http'],
    node: ['node:http2', 'node:net', 'node:tls'],
  },
  agent: {
    job: 'starts the parts of one agent and stops them in order',
    imports: [
      'agent/admin',
      'agent/bundles',
      'agent/context.ts',
      'agent/exchange',
      'agent/ext-authz',
      'agent/listener',
      'agent/log',
      'agent/net',
      'agent/traces',
      'agent/tls',
      'clock.ts',
      'filters',
      'http',
      'jwt',
      'limits',
      'telemetry',
    ],
    types: ['api'],
    node: ['node:crypto', 'node:fs'],
  },
  analysis: {
    job: 'proofs about programs: what one lets in and another refuses, or a request that shows it',
    imports: ['http', 'jwt', 'policy'],
    types: ['api'],
  },
  explain: {
    job: 'why a request gets its verdict; policy tests; differences between two sets of policies',
    imports: ['filters', 'http', 'jwt', 'policy', 'text.ts'],
    types: ['api', 'bundle'],
    node: ['node:crypto'],
  },
  resolve: { job: 'which policy selects which workload, kept incrementally; variants of a workload', imports: ['api'] },
  lint: {
    job: 'findings on policies that are valid and probably wrong',
    imports: ['api', 'http', 'policy', 'resolve', 'text.ts'],
    types: ['analysis', 'errors.ts'],
  },
  compile: {
    job: 'the policies of one workload to its bundle',
    imports: ['api', 'bundle', 'jwt', 'policy', 'resolve'],
    types: ['errors.ts'],
    node: ['node:crypto', 'node:zlib'],
  },
  inject: {
    job: 'pod template in, pod template with the agent out; the traffic redirection',
    imports: ['api', 'errors.ts', 'limits', 'text.ts'],
    npm: ['yaml'],
    node: ['node:child_process', 'node:fs/promises', 'node:net', 'node:timers/promises', 'node:util'],
  },
  jwks: {
    job: 'cache of the last good keys of every issuer: fetch, refresh, address guard',
    imports: ['bundle', 'errors.ts', 'jwt', 'regular-file.ts'],
    types: ['api', 'clock.ts', 'telemetry'],
    npm: ['ipaddr.js'],
    node: ['node:crypto', 'node:dns', 'node:dns/promises', 'node:http', 'node:https', 'node:net', 'node:stream', 'node:tls', 'node:zlib'],
  },
  cluster: {
    job: 'the Kubernetes client: requests, reflector, single objects, lease, events, status patch',
    imports: ['api', 'clock.ts', 'errors.ts', 'steps.ts', 'text.ts'],
    types: ['telemetry'],
    npm: ['@kubernetes/client-node'],
    node: ['node:util'],
  },
  'node-redirect': {
    job: 'the program on each node that redirects the connections of pods without NET_ADMIN: their network namespaces, what to set where',
    imports: ['api', 'clock.ts', 'cluster', 'errors.ts', 'inject', 'libc.ts', 'plain-address.ts'],
    types: ['telemetry'],
    node: ['node:child_process', 'node:fs', 'node:os', 'node:path'],
  },
  keys: {
    job: 'signing keys of an installation: made once, kept in a Secret or a file, rotated; the signer of bundles',
    imports: ['api', 'bundle', 'clock.ts', 'cluster', 'errors.ts', 'replace-file.ts'],
    types: ['telemetry'],
    npm: ['zod/mini'],
    node: ['node:crypto', 'node:fs/promises', 'node:path'],
  },
  workqueue: {
    job: 'queue with retries, and its workers',
    imports: ['errors.ts'],
    types: ['clock.ts', 'telemetry'],
    node: ['node:timers/promises'],
  },
  'ops-server': {
    job: 'health and metrics of the controller over HTTP',
    types: ['telemetry'],
    node: ['node:http'],
    nodeTypes: ['node:https', 'node:net'],
  },
  state: {
    job: 'cluster state: policies (last good version of each), pods, namespaces; the directory source',
    imports: ['api', 'fs-watch', 'regular-file.ts', 'resolve'],
    types: ['errors.ts'],
    node: ['node:fs/promises', 'node:path', 'node:timers/promises'],
  },
  status: {
    job: 'workload ledger; status conditions of policies: computed, worded and written',
    imports: ['api', 'cluster', 'lint', 'policy', 'workqueue'],
    types: ['clock.ts', 'errors.ts', 'jwks', 'state', 'telemetry'],
  },
  reports: {
    job: 'what the status of policies says, as reports of openreports.io',
    imports: ['api', 'clock.ts', 'cluster', 'errors.ts', 'status', 'workqueue'],
    types: ['state', 'telemetry'],
    node: ['node:util'],
  },
  delivery: {
    job: 'publishes bundles as ConfigMaps or into a directory; the kubelet resync annotation',
    imports: ['api', 'bundle', 'cluster', 'errors.ts', 'fair-bytes.ts', 'replace-file.ts'],
    types: ['clock.ts', 'policy', 'status', 'telemetry'],
    node: ['node:fs/promises', 'node:path'],
  },
  'feed-server': {
    job: 'serves the feed to agents: who they are, streams, limits',
    imports: ['api', 'bundle', 'feed', 'plain-address.ts', 'steps.ts'],
    types: ['clock.ts', 'cluster', 'status', 'telemetry'],
    npm: ['jose', 'zod/mini'],
    node: ['node:crypto', 'node:https', 'node:net', 'node:timers/promises'],
    nodeTypes: ['node:http', 'node:stream', 'node:tls'],
  },
  'feed-relay': {
    job: 'the stream of a replica of the controller to the one that leads',
    imports: ['clock.ts', 'feed', 'feed-client', 'feed-server'],
    types: ['api', 'limits', 'telemetry'],
    nodeTypes: ['node:stream'],
  },
  profiling: {
    job: 'CPU and heap profiles of the process on the loopback address; loaded only when a port is configured',
    imports: ['limits'],
    types: ['telemetry'],
    npm: ['pprof-format'],
    node: ['node:http', 'node:inspector/promises', 'node:util', 'node:zlib'],
    nodeTypes: ['node:inspector', 'node:net'],
  },
  controller: {
    job: 'informers, pipeline, reconcile; the manager with what every replica keeps warm and what the leader adds',
    imports: [
      'api',
      'bundle',
      'clock.ts',
      'cluster',
      'compile',
      'delivery',
      'errors.ts',
      'fair-bytes.ts',
      'feed-server',
      'jwks',
      'keys',
      'reports',
      'resolve',
      'state',
      'status',
      'traces',
      'workqueue',
    ],
    types: ['ops-server', 'telemetry', 'webhook'],
  },
  webhook: {
    job: 'injection and validation on admission; rotation of its certificates',
    imports: [
      'analysis',
      'api',
      'clock.ts',
      'cluster',
      'compile',
      'errors.ts',
      'inject',
      'lint',
      'ops-server',
      'policy',
      'regular-file.ts',
      'resolve',
    ],
    types: ['telemetry', 'traces'],
    npm: ['@peculiar/x509', 'reflect-metadata'],
    node: ['node:crypto', 'node:events', 'node:https', 'node:path', 'node:timers/promises', 'node:worker_threads'],
    nodeTypes: ['node:http', 'node:net', 'node:tls'],
  },
  standalone: {
    job: 'the pipeline with a directory at both ends and the agents in the same process',
    imports: ['agent', 'api', 'bundle', 'clock.ts', 'compile', 'controller', 'delivery', 'errors.ts', 'jwks', 'keys', 'state', 'status'],
    types: ['telemetry'],
    node: ['node:fs/promises', 'node:os', 'node:path', 'node:timers/promises'],
  },
  cli: {
    job: 'commands, their input and output; no logic that another package owns',
    imports: [
      'agent/http1',
      'agent/http2',
      'analysis',
      'api',
      'bundle',
      'cluster',
      'compile',
      'config',
      'errors.ts',
      'explain',
      'http',
      'inject',
      'jwt',
      'keys',
      'limits',
      'lint',
      'policy',
      'regular-file.ts',
      'replace-file.ts',
      'resolve',
      'standalone',
      'state',
      'telemetry',
      'text.ts',
      'version.ts',
    ],
    types: ['filters'],
    npm: ['commander', 'string-width', 'yaml', 'zod'],
    node: [
      'node:events',
      'node:fs/promises',
      'node:path',
      'node:perf_hooks',
      'node:timers/promises',
      'node:url',
      'node:util',
      'node:worker_threads',
      'node:zlib',
    ],
  },
  main: {
    job: 'entry points of the processes; wiring only',
    imports: [
      'agent',
      'agent/context.ts',
      'api',
      'cli',
      'clock.ts',
      'cluster',
      'config',
      'controller',
      'errors.ts',
      'feed',
      'feed-client',
      'feed-relay',
      'feed-server',
      'inject',
      'jwks',
      'limits',
      'node-redirect',
      'ops-server',
      'package.json',
      'profiling',
      'regular-file.ts',
      'status',
      'telemetry',
      'traces',
      'webhook',
    ],
    node: ['node:crypto', 'node:fs/promises', 'node:path', 'node:worker_threads'],
  },
};

/**
 * Directories whose files count one by one in the search for cycles: one file there assembles the directories below it,
 * another holds the types that they share. Everywhere else a directory and those below it must not import each other.
 */
export const ASSEMBLY_FOLDERS: readonly string[] = ['src', 'src/agent'];

/** What a built file may contain. */
export interface OutputBudget {
  /** Packages (or files) of `src`, as in {@link PACKAGES}, and `package.json`; a row of `agent/` is included in `agent`. */
  readonly packages: readonly string[];
  /** Paths below node_modules: a package, or a directory of one where only that directory is allowed. */
  readonly npm: readonly string[];
  readonly maxKiB: number;
}

/** By name of the file below dist/, without `.mjs`. Files without an entry are not limited. */
export const OUTPUT_BUDGETS: Readonly<Record<string, OutputBudget>> = {
  agent: {
    packages: [
      'agent',
      'api',
      'bundle',
      'clock.ts',
      'config',
      'errors.ts',
      'filters',
      'fs-watch',
      'http',
      'jwt',
      'libc.ts',
      'limits',
      'main',
      'package.json',
      'plain-address.ts',
      'policy',
      'regular-file.ts',
      'replace-file.ts',
      'steps.ts',
      'telemetry',
      'text.ts',
      'version.ts',
    ],
    npm: [
      '@pinojs/redact',
      'pino',
      'pino-std-serializers',
      'quick-format-unescaped',
      'safe-stable-stringify',
      'zod/mini',
      'zod/v4/core',
      'zod/v4/mini',
    ],
    maxKiB: 640,
  },
  'agent-feed': {
    // Of `limits` only what holds no counters: the agent's counters are in its own file.
    packages: [
      'agent/bundles',
      'bundle/joined-files.ts',
      'feed',
      'feed-client',
      'limits/containers.ts',
      'limits/timers.ts',
      'replace-file.ts',
    ],
    npm: [],
    maxKiB: 20,
  },
  'controller-traces': {
    packages: ['limits/containers.ts', 'limits/timers.ts', 'text.ts', 'traces'],
    npm: [],
    maxKiB: 14,
  },
  profiling: {
    packages: ['limits/limit.ts', 'limits/profile-limits.ts', 'limits/timers.ts', 'profiling'],
    npm: ['pprof-format'],
    maxKiB: 36,
  },
  'agent-traces': {
    packages: ['agent/log', 'agent/traces', 'http', 'limits/containers.ts', 'limits/timers.ts', 'text.ts', 'traces'],
    npm: [],
    maxKiB: 16,
  },
};
