"""Real tables: benchmarks of treatment effects, econometric tables, questionnaires and leaderboards."""
