//! What devctl promises, one file per promise, on the real thing: real processes, real PostgreSQL, real RabbitMQ.

mod adopted;
mod contracts;
mod copies;
mod crash;
mod creating;
mod docker;
mod documents;
mod edges;
mod ended;
mod engine;
mod listed;
mod load;
mod onsave;
mod phoenix;
mod phoenix_docker;
mod registry;
mod reload;
mod running;
mod servers;
mod setup;
mod shapes;
mod support;
mod up;
mod verbs;
mod verify;
mod watch;
