"""SQLite in WAL mode: the database port with one writer thread, its group commit, its bulk SQL."""
