/*
 * Servers of TCP protocols behind the built agent, with their real clients, through the captured port of a pod.
 */
import { LIGHT_PACKAGES, LIGHT_SERVERS, SERVER_NAMES } from '../servers/light-servers.ts';
import { describeServers } from '../servers/suite.ts';

describeServers({
  title: 'servers behind an agent',
  packages: LIGHT_PACKAGES,
  servers: LIGHT_SERVERS,
  serverNames: SERVER_NAMES,
  byServerName: [8443],
});
