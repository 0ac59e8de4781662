/*
 * Servers that start within seconds, and their clients: the integration suite.
 */
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { binaryPath, buildModule } from '../cluster/build.ts';
import type { ServerPod } from './server-pod.ts';
import type { TestedServer } from './tested-server.ts';

/** Debian packages of {@link LIGHT_SERVERS}. */
export const LIGHT_PACKAGES: readonly string[] = [
  'postgresql-15',
  'postgresql-client-15',
  'mariadb-server-core',
  'mariadb-client-core',
  'redis-server',
  'redis-tools',
  'nginx',
  'exim4-daemon-light',
  'curl',
];

/** Server names of the certificate of all servers; the second is denied. */
export const SERVER_NAMES: readonly [string, string] = ['www.example.com', 'internal.example.com'];

/** Bytes of the values that have to arrive whole. */
const LARGE = 2_000_000;
const ALL = /^x{2000000}\s*$/;

/** Above the users of the system. */
const EXIM_USER = 39_001;

/** PostgreSQL does not run as root: it sees another user, who owns its files, and keeps the rights of none. */
const AS_USER = ['unshare', '--user', '--map-user=1', '--map-group=1'];

const postgres: TestedServer = {
  name: 'PostgreSQL',
  port: 5432,
  byName: { name: 'tcp-postgres' },
  byProtocol: { appProtocol: 'tcp' },
  async start(pod) {
    const bin = '/usr/lib/postgresql/15/bin';
    const data = join(pod.directory, 'postgres');
    await pod.prepare([...AS_USER, `${bin}/initdb`, '-D', data, '-U', 'app', '-A', 'trust', '--no-sync', '--no-locale', '-E', 'UTF8']);
    await writeFile(join(data, 'pg_hba.conf'), 'host all all all trust\n');
    const { cert, key } = pod.certificate;
    const settings = {
      listen_addresses: '*',
      unix_socket_directories: '',
      fsync: 'off',
      ssl: 'on',
      ssl_cert_file: cert,
      ssl_key_file: key,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    await pod.startServer([...AS_USER, `${bin}/postgres`, '-D', data, ...flags], /ready to accept connections/);
  },
  clients: [
    ...(
      [
        ['disable', 'f'],
        ['prefer', 't'],
        ['require', 't'],
      ] as const
    ).map(([mode, isEncrypted]) => ({
      name: `psql, sslmode=${mode}`,
      command: (host: string) => psql(host, mode, 'select 41 + 1, ssl from pg_stat_ssl where pid = pg_backend_pid()'),
      prints: new RegExp(`^42\\|${isEncrypted}\\s*$`),
    })),
    { name: 'psql, 2 MB', command: (host) => psql(host, 'require', `select repeat('x', ${LARGE})`), prints: ALL },
  ],
};

function psql(host: string, mode: string, statement: string): readonly string[] {
  return ['psql', `host=${host} user=app dbname=postgres sslmode=${mode}`, '-XAtc', statement];
}

const mariadb: TestedServer = {
  name: 'MariaDB',
  port: 3306,
  byName: { name: 'mysql' },
  byProtocol: { port: 3306 },
  async start(pod) {
    const data = join(pod.directory, 'mariadb');
    await mkdir(data);
    const settings = ['--no-defaults', '--user=root', `--datadir=${data}`];
    const tables = ['mysql_system_tables', 'mysql_performance_tables', 'mysql_system_tables_data'];
    const sql = [
      'CREATE DATABASE mysql;',
      'USE mysql;',
      'SET @auth_root_socket=NULL;',
      'SET @skip_auth_anonymous=NULL;',
      await pod.prepare(['cat', ...tables.map((name) => `/usr/share/mysql/${name}.sql`)]),
      'FLUSH PRIVILEGES;',
      "CREATE USER app IDENTIFIED BY 'secret';",
    ];
    await pod.prepare(['mariadbd', ...settings, '--bootstrap'], `${sql.join('\n')}\n`);
    const { cert, key } = pod.certificate;
    const more = ['--bind-address=*', `--socket=${data}.sock`, `--ssl-cert=${cert}`, `--ssl-key=${key}`, '--skip-name-resolve'];
    await pod.startServer(['mariadbd', ...settings, ...more], /ready for connections/);
  },
  clients: [
    {
      name: 'mariadb, plain text',
      command: (host) => mysql(host, ['--skip-ssl'], "select 41 + 1, (select variable_value from t where variable_name = 'Ssl_version')"),
      prints: /^42\t\s*$/,
    },
    {
      name: 'mariadb, TLS',
      command: (host) => mysql(host, ['--ssl'], "select 41 + 1, (select variable_value from t where variable_name = 'Ssl_version')"),
      prints: /^42\tTLSv1\.3\s*$/,
    },
    { name: 'mariadb, 2 MB', command: (host) => mysql(host, ['--skip-ssl'], `select repeat('x', ${LARGE})`), prints: ALL },
  ],
};

function mysql(host: string, flags: readonly string[], statement: string): readonly string[] {
  const login = ['--no-defaults', '--protocol=TCP', `--host=${host}`, '--port=3306', '--user=app', '--password=secret'];
  return ['mariadb', ...login, ...flags, '-BNe', statement.replace('from t ', 'from information_schema.session_status ')];
}

const redis: TestedServer = {
  name: 'Redis',
  port: 6379,
  byName: { name: 'redis' },
  byProtocol: { appProtocol: 'redis' },
  start: (pod) =>
    pod.startServer(
      ['redis-server', '--port', '6379', '--bind', '0.0.0.0', '::', '--protected-mode', 'no', '--save', ''],
      /Ready to accept/,
    ),
  clients: [
    { name: 'redis-cli', command: (host) => ['redis-cli', '-h', host, 'ping'], prints: /^PONG\s*$/ },
    {
      name: 'redis-cli, 2 MB',
      command: (host) => ['sh', '-c', 'redis-cli -h "$1" -x set value && redis-cli -h "$1" get value', 'sh', host],
      input: 'x'.repeat(LARGE),
      prints: /^OK\nx{2000000}\s*$/,
    },
    {
      name: 'redis-cli, pipeline',
      command: (host) => ['redis-cli', '-h', host, '--pipe'],
      input: 'SET a 1\r\n'.repeat(1000),
      prints: /errors: 0, replies: 1000/,
    },
  ],
};

/** Set when the server is started. */
let natsClient = '';

const nats: TestedServer = {
  name: 'NATS',
  port: 4222,
  byName: { name: 'tcp-nats' },
  byProtocol: { appProtocol: 'tcp' },
  async start(pod) {
    natsClient = await buildModule('nats-client', new URL('nats-client/', import.meta.url));
    await pod.startServer([binaryPath('nats-server'), '-a', '::', '-p', '4222'], /Server is ready/);
  },
  clients: [
    {
      name: 'nats.go, subscription and request of 0.5 MB',
      command: (host) => [natsClient, `nats://${host.includes(':') ? `[${host}]` : host}:4222`],
      prints: /^500000\s*$/,
    },
  ],
};

const nginx: TestedServer = {
  name: 'nginx, HTTPS',
  port: 8443,
  byName: { name: 'https' },
  byProtocol: { appProtocol: 'https' },
  async start(pod) {
    const { cert, key } = pod.certificate;
    const path = join(pod.directory, 'nginx.conf');
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${pod.directory}/nginx-${name};`);
    const text = `
      user root; worker_processes 1; daemon off; pid ${pod.directory}/nginx.pid; error_log stderr notice;
      events {}
      http {
        access_log off; ${paths.join(' ')}
        server {
          listen 8443 ssl http2; listen [::]:8443 ssl http2;
          ssl_certificate ${cert}; ssl_certificate_key ${key};
          location / { return 200 "$server_protocol $ssl_server_name\\n"; }
        }
      }`;
    await writeFile(path, text);
    await pod.startServer(['nginx', '-e', 'stderr', '-c', path], /start worker process \d/);
  },
  clients: [
    {
      name: 'curl, HTTP/1.1',
      command: (host, pod) => curl(host, pod, SERVER_NAMES[0], '--http1.1'),
      prints: /^HTTP\/1\.1 www\.example\.com\s*$/,
      serverName: SERVER_NAMES[0],
    },
    {
      name: 'curl, HTTP/2',
      command: (host, pod) => curl(host, pod, SERVER_NAMES[0], '--http2'),
      prints: /^HTTP\/2\.0 www\.example\.com\s*$/,
      serverName: SERVER_NAMES[0],
    },
    {
      name: 'curl, a server name that no rule allows',
      command: (host, pod) => curl(host, pod, SERVER_NAMES[1], '--http1.1'),
      prints: /./,
      serverName: SERVER_NAMES[1],
      isDenied: true,
    },
  ],
};

function curl(host: string, pod: ServerPod, name: string, version: string): readonly string[] {
  const address = host.includes(':') ? `[${host}]` : host;
  return ['curl', '-sS', version, '--cacert', pod.certificate.authority, '--resolve', `${name}:8443:${address}`, `https://${name}:8443/`];
}

const smtp: TestedServer = {
  name: 'SMTP (Exim)',
  port: 2525,
  byName: { name: 'tcp-smtp' },
  byProtocol: { port: 25 },
  async start(pod) {
    // Exim gives its rights up, to a user that the package's installation would have added.
    const etc = join(pod.directory, 'etc');
    const spool = join(pod.directory, 'exim');
    for (const directory of [etc, spool]) await mkdir(directory, { mode: 0o755 });
    await chmod(pod.directory, 0o711);
    const user = `Debian-exim:x:${EXIM_USER}:`;
    for (const [name, entry] of Object.entries({ passwd: `${user}${EXIM_USER}::/:/bin/false\n`, group: `${user}\n` })) {
      await writeFile(join(etc, name), (await pod.prepare(['cat', `/etc/${name}`])) + entry);
    }
    for (const file of ['tls.crt', 'tls.key']) await copyFile(join(pod.directory, file), join(spool, file));
    await pod.prepare(['chown', '-R', `${EXIM_USER}:${EXIM_USER}`, spool]);
    const config = join(pod.directory, 'exim.conf');
    await writeFile(config, eximConfig(spool));
    await pod.startServer(['exim4', '-bdf', '-C', config], /daemon started/, {
      view: pod.viewWith(etc),
      logFile: join(spool, 'mainlog'),
    });
  },
  clients: [
    { name: 'curl, plain text', command: (host) => sendMail(host, []), input: 'Subject: a\r\n\r\nbody\r\n', prints: /^250$/ },
    {
      name: 'curl, STARTTLS',
      command: (host, pod) => sendMail(host, ['--ssl-reqd', '--cacert', pod.certificate.authority]),
      input: 'Subject: a\r\n\r\nbody\r\n',
      prints: /^250$/,
    },
  ],
};

function sendMail(host: string, flags: readonly string[]): readonly string[] {
  const address = host.includes(':') ? `[${host}]` : host;
  const name = SERVER_NAMES[0];
  const envelope = ['--mail-from', 'a@example.com', '--mail-rcpt', 'b@example.com', '-T', '-', '-w', '%{response_code}'];
  return ['curl', '-sS', '--resolve', `${name}:2525:${address}`, ...flags, ...envelope, `smtp://${name}:2525`];
}

function eximConfig(spool: string): string {
  return `
keep_environment =
primary_hostname = ${SERVER_NAMES[0]}
spool_directory = ${spool}
log_file_path = ${spool}/%slog
daemon_smtp_ports = 2525
local_interfaces = <; 0.0.0.0 ; ::0
tls_advertise_hosts = *
tls_certificate = ${spool}/tls.crt
tls_privatekey = ${spool}/tls.key
acl_smtp_rcpt = accept
host_lookup =
rfc1413_query_timeout = 0s
queue_only = true
begin acl
accept:
  accept
`;
}

/** In the order in which they are started. */
export const LIGHT_SERVERS: readonly TestedServer[] = [postgres, mariadb, redis, nats, nginx, smtp];
