/*
 * Servers that take long to fetch and to start, and their clients: `npm run servers`.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, withLock } from '../cluster/cache.ts';
import { POD_IPV4 } from '../support/pod-network.ts';
import { debianPrograms, inView, runCommand } from './debian-programs.ts';
import type { TestedServer } from './tested-server.ts';

/** Debian packages of {@link HEAVY_SERVERS}, and of what fetches Kafka. */
export const HEAVY_PACKAGES: readonly string[] = ['rabbitmq-server', 'amqp-tools', 'kcat', 'openjdk-17-jre-headless', 'maven'];

const POM = new URL('kafka/pom.xml', import.meta.url);
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
/** Finds Java, which the package's installation would have linked. */
const WITH_JAVA = ['sh', '-c', 'JAVA_HOME=$(echo /usr/lib/jvm/java-17-openjdk-*) && export JAVA_HOME && exec "$@"', 'sh'];
const CLUSTER = 'MkU3OEVBNTcwNTJENDM2Qg';

/** The jars of Kafka, from Maven Central or the cache. @returns their directory @throws Error with Maven's output */
async function kafkaJars(): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 16);
  const goal = join(cacheRoot(), 'maven', digest);
  await withLock('maven', async () => {
    if (existsSync(goal)) return;
    process.stderr.write('fetching Kafka\n');
    await mkdir(join(cacheRoot(), 'maven'), { recursive: true });
    const work = await mkdtemp(`${goal}.fetching-`);
    const jars = join(work, 'jars');
    const maven = ['/usr/share/maven/bin/mvn', '-q', '-B', '-f', fileURLToPath(POM), COPY, `-DoutputDirectory=${jars}`];
    const view = { root: await debianPrograms(HEAVY_PACKAGES) };
    try {
      const command = ['unshare', '--mount', ...inView(view, [...WITH_JAVA, ...maven])];
      const { code, stdout, stderr } = await runCommand(command, { limitMs: 600_000 });
      if (code !== 0) throw new Error(`${stdout}${stderr}`);
      await rename(jars, goal);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return goal;
}

/** Java with a class of Kafka. */
function kafka(jars: string, ...command: readonly string[]): readonly string[] {
  const java = 'exec "$JAVA_HOME/bin/java" -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$0/*" "$@"';
  return [...WITH_JAVA, 'sh', '-c', java, jars, ...command];
}

const broker = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.quorum.voters': '1@127.0.0.1:9093',
  listeners: 'PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093',
  'advertised.listeners': `PLAINTEXT://${POD_IPV4}:9092`,
  'controller.listener.names': 'CONTROLLER',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '1',
  'group.initial.rebalance.delay.ms': '0',
};

let jarsOfKafka = '';

const kafkaServer: TestedServer = {
  name: 'Kafka',
  port: 9092,
  byName: { name: 'tcp-kafka' },
  byProtocol: { appProtocol: 'tcp' },
  async start(pod) {
    jarsOfKafka = await kafkaJars();
    const data = join(pod.directory, 'kafka');
    const config = join(pod.directory, 'kafka.properties');
    const settings = Object.entries({ ...broker, 'log.dirs': data }).map((pair) => pair.join('='));
    await writeFile(config, settings.join('\n'));
    await pod.prepare(kafka(jarsOfKafka, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER, '-c', config));
    await pod.startServer(kafka(jarsOfKafka, 'kafka.Kafka', config), /Kafka Server started/);
  },
  clients: [
    { name: 'kcat, metadata', command: (host) => ['kcat', '-L', '-m', '10', '-b', addressOf(host)], prints: /\n 1 brokers:/ },
    {
      name: 'kcat, produce and consume',
      command: (host) => [
        'sh',
        '-c',
        'kcat -q -P -b "$1" -t kcat && kcat -q -C -b "$1" -t kcat -o beginning -c 1 -e',
        'sh',
        addressOf(host),
      ],
      input: 'forty-two\n',
      prints: /^forty-two\s*$/,
    },
    {
      name: 'console producer',
      command: (host) =>
        kafka(jarsOfKafka, 'org.apache.kafka.tools.ConsoleProducer', '--bootstrap-server', addressOf(host), '--topic', 'java'),
      input: 'forty-two\n',
      prints: /^[> ]*\s*$/,
    },
    {
      name: 'console consumer',
      command: (host) => {
        const flags = ['--topic', 'java', '--from-beginning', '--max-messages', '1', '--timeout-ms', '30000'];
        return kafka(jarsOfKafka, 'org.apache.kafka.tools.consumer.ConsoleConsumer', '--bootstrap-server', addressOf(host), ...flags);
      },
      prints: /^forty-two\s*$/,
    },
  ],
};

function addressOf(host: string): string {
  return `${host.includes(':') ? `[${host}]` : host}:9092`;
}

const rabbit: TestedServer = {
  name: 'RabbitMQ',
  port: 5672,
  byName: { name: 'tcp-amqp' },
  byProtocol: { appProtocol: 'tcp' },
  async start(pod) {
    const home = join(pod.directory, 'rabbitmq');
    await mkdir(home);
    await writeFile(join(home, 'plugins'), '[].');
    await writeFile(join(home, 'rabbitmq.conf'), 'loopback_users = none\nlisteners.tcp.default = 5672\n');
    const env = {
      HOME: home,
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: 'rabbit@localhost',
      RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
      RABBITMQ_LOG_BASE: join(home, 'log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_PID_FILE: join(home, 'pid'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
      RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(home, 'generated'),
      RABBITMQ_SCHEMA_DIR: join(home, 'schema'),
    };
    const variables = Object.entries(env).map((pair) => pair.join('='));
    await pod.startServer(['env', ...variables, '/usr/lib/rabbitmq/bin/rabbitmq-server'], /startup complete|completed with/);
  },
  clients: [
    {
      name: 'amqp-publish, amqp-get',
      command: (host) => {
        const url = `amqp://guest:guest@${host.includes(':') ? `[${host}]` : host}:5672`;
        const script = 'amqp-declare-queue -u "$1" -q q >&2 && amqp-publish -u "$1" -r q -b forty-two && amqp-get -u "$1" -q q';
        return ['sh', '-c', script, 'sh', url];
      },
      prints: /^forty-two\s*$/,
    },
  ],
};

/** In the order in which they are started. */
export const HEAVY_SERVERS: readonly TestedServer[] = [kafkaServer, rabbit];
