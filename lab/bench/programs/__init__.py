"""What the benchmark runs: bare grpcio programs, a reader of many streams, and the services with stamped updates."""
