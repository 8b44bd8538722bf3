// SPDX-License-Identifier: Apache-2.0
// grpc_health_server PORT: a gRPC server with nothing but the health service (grpc.health.v1), on every address,
// without TLS. It says SERVING; SIGUSR1 makes it say NOT_SERVING, and the next one SERVING again; SIGTERM ends it. A
// server of the lab's reals (scripts/lib/servers.sh). Main thread: waits for signals; gRPC's own answer.
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
    return 2;
  }
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGUSR1);
  sigaddset(&awaited, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);  // before gRPC makes its threads, which inherit it

  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(std::string("[::]:") + argv[1], grpc::InsecureServerCredentials(), &port);
  // The library serves from queues that somebody polls, and a server without services of its own has none.
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::fprintf(stderr, "port %s: cannot listen there\n", argv[1]);
    return 1;
  }
  std::jthread poller([&queue] {
    void* tag = nullptr;
    for (bool ok = false; queue->Next(&tag, &ok);) continue;
  });
  bool serving = true;
  server->GetHealthCheckService()->SetServingStatus(serving);
  for (int signal = 0; sigwait(&awaited, &signal) == 0 && signal == SIGUSR1;) {
    serving = !serving;
    server->GetHealthCheckService()->SetServingStatus(serving);
  }
  server->Shutdown(std::chrono::system_clock::now());  // nobody is waited for
  queue->Shutdown();
  return 0;
}
