"""What people do with DuckDB over S3: Parquet and CSV, written and read, many files by a pattern, parts of large ones."""

import os
import pathlib

import duckdb
import duckdb_extension_httpfs

from s3 import HOST, client

# Never from the network: the package brings the extension.
extension = next(pathlib.Path(duckdb_extension_httpfs.__path__[0]).rglob("httpfs.duckdb_extension"))
db = duckdb.connect(config={"autoinstall_known_extensions": "false", "home_directory": os.getcwd(), "threads": "4"})
db.execute(f"LOAD '{extension}'")
key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
db.execute(f"""CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', ENDPOINT '{HOST}',
    URL_STYLE 'path', USE_SSL false)""")
db.execute("SET http_retries = 0")
s3 = client()
s3.create_bucket(Bucket="lake")


def value(sql):
    return db.execute(sql).fetchone()[0]


def keys(prefix):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", [])]


N = 500_000
db.execute(f"""CREATE TABLE t AS SELECT i AS id, 'k' || i % 5 AS kind, i * 0.5 AS value, md5(i::VARCHAR) AS sum
    FROM range({N}) r(i)""")

# One file of several parts; a query of one column reads less than all of it.
db.execute("COPY t TO 's3://lake/one.parquet' (ROW_GROUP_SIZE 50000)")
assert s3.head_object(Bucket="lake", Key="one.parquet")["ContentLength"] > 10_000_000
assert value("SELECT count(*) FROM 's3://lake/one.parquet'") == N
assert value("SELECT sum(id) FROM 's3://lake/one.parquet' WHERE id >= 499990") == sum(range(N - 10, N))
assert value("SELECT count(*) FROM (FROM t EXCEPT FROM 's3://lake/one.parquet')") == 0

# The same as text, also compressed.
db.execute("COPY (FROM t LIMIT 20000) TO 's3://lake/csv/plain file.csv' (HEADER)")
db.execute("COPY (FROM t LIMIT 20000) TO 's3://lake/csv/packed.csv.gz' (HEADER, COMPRESSION gzip)")
assert value("SELECT count(DISTINCT id) FROM read_csv('s3://lake/csv/plain file.csv')") == 20000
assert value("SELECT count(*) FROM read_csv('s3://lake/csv/*')") == 40000
body = s3.get_object(Bucket="lake", Key="csv/plain file.csv")["Body"].read().splitlines()
assert body[0] == b"id,kind,value,sum" and len(body) == 20001

# A directory a kind, found again by patterns, of which only the asked for is opened.
db.execute("COPY t TO 's3://lake/set' (FORMAT parquet, PARTITION_BY (kind))")
assert len(keys("set/kind=k3/")) >= 1
assert value("SELECT count(*) FROM read_parquet('s3://lake/set/*/*.parquet')") == N
assert value("SELECT count(*) FROM read_parquet('s3://lake/set/**/*.parquet', hive_partitioning = true) WHERE kind = 'k3'") == N // 5
assert value("SELECT count(*) FROM read_parquet('s3://lake/set/kind=k[12]/*.parquet')") == 2 * N // 5
assert len(db.execute("FROM glob('s3://lake/set/**')").fetchall()) == len(keys("set/"))
# More names than a listing has on a page.
for n in range(1100):
    s3.put_object(Bucket="lake", Key=f"many/{n:04}.csv", Body=f"n\n{n}\n".encode())
assert value("SELECT count(*) FROM glob('s3://lake/many/*.csv')") == 1100
assert value("SELECT sum(n) FROM read_csv('s3://lake/many/00*.csv')") == sum(range(100))

# An object that is replaced is read anew, one that is gone is told.
db.execute("COPY (SELECT 1 AS a) TO 's3://lake/again.parquet'")
assert value("SELECT a FROM 's3://lake/again.parquet'") == 1
db.execute("COPY (SELECT 2 AS a, 3 AS b) TO 's3://lake/again.parquet'")
assert value("SELECT a + b FROM 's3://lake/again.parquet'") == 5
try:
    db.execute("FROM 's3://lake/none.parquet'")
    raise AssertionError("a file that is not there was read")
except duckdb.Error as error:
    assert "404" in str(error), error
