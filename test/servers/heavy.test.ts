/*
 * Kafka and RabbitMQ behind the built agent, with their real clients, through the captured port of a pod.
 */
import { HEAVY_PACKAGES, HEAVY_SERVERS } from './heavy-servers.ts';
import { describeServers } from './suite.ts';

describeServers({
  title: 'Kafka and RabbitMQ behind an agent',
  packages: HEAVY_PACKAGES,
  servers: HEAVY_SERVERS,
  serverNames: ['www.example.com'],
  byServerName: [],
});
