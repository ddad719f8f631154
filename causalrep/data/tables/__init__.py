"""Real tables: treatment-effect benchmarks, econometric tables, a cohort's questionnaires and a leaderboard."""
