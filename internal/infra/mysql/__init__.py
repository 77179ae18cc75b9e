"""MySQL and MariaDB through aiomysql: the database port, its connection, its rows, its bulk SQL."""
