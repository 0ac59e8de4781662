/*
 * Loaded into an agent that shares a network namespace with others: connections to FEED_PORT come from the address in CONNECT_FROM, as those of a pod do.
 */
import { Socket } from 'node:net';

const { CONNECT_FROM, FEED_PORT } = process.env;
const connect = Reflect.get(Socket.prototype, 'connect');

Socket.prototype.connect = function (...args) {
  // Node.js passes the arguments on as a list in a list.
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (CONNECT_FROM !== undefined && options?.port === Number(FEED_PORT)) options.localAddress = CONNECT_FROM;
  return Reflect.apply(connect, this, args);
};
