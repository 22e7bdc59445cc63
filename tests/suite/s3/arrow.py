"""What people do with pyarrow's file system of S3: data sets of Parquet, streams, files."""

import os

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pyarrow.parquet as pq

from s3 import HOST, MIB

s3 = fs.S3FileSystem(
    endpoint_override=HOST, scheme="http", region="us-east-1", allow_bucket_creation=True, allow_bucket_deletion=True,
    access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
)
s3.create_dir("lake")
assert s3.get_file_info("lake").type == fs.FileType.Directory
assert s3.get_file_info("lake/none").type == fs.FileType.NotFound

# A partitioned data set, of which only what is asked for is read.
N = 200_000
table = pa.table({
    "id": range(N),
    "kind": [f"k{n % 4}" for n in range(N)],
    "value": [n * 0.5 for n in range(N)],
})
ds.write_dataset(table, "lake/set", format="parquet", partitioning=ds.partitioning(pa.schema([("kind", pa.string())])),
                 filesystem=s3, max_rows_per_group=10_000)
data = ds.dataset("lake/set", filesystem=s3, partitioning=["kind"])
assert data.count_rows() == N and len(data.files) == 4
found = data.to_table(columns=["id", "value"], filter=(ds.field("kind") == "k2") & (ds.field("id") < 1000)).sort_by("id")
assert found["id"].to_pylist() == list(range(2, 1000, 4))
assert pc.sum(data.to_table()["value"]).as_py() == N * (N - 1) / 4
one = pq.read_table("lake/set/k0/" + s3.get_file_info(fs.FileSelector("lake/set/k0"))[0].base_name, filesystem=s3)
assert one.num_rows == N // 4

# A file whose footer and columns are read by ranges.
pq.write_table(table, "lake/one.parquet", filesystem=s3, row_group_size=20_000)
file = pq.ParquetFile("lake/one.parquet", filesystem=s3, pre_buffer=True)
assert file.num_row_groups == 10 and file.read_row_group(7, columns=["id"])["id"][0].as_py() == 140_000
with s3.open_output_stream("lake/t.csv", compression=None) as out:
    pa.csv.write_csv(table.slice(0, 1000), out)
with s3.open_input_stream("lake/t.csv") as lines:
    assert pa.csv.read_csv(lines).equals(table.slice(0, 1000))

# A stream in parts, with metadata, and reads at any place of it.
big = os.urandom(MIB)
with s3.open_output_stream("lake/d/stream", metadata={"Content-Type": "a/b", "color": "red"}) as out:
    for _ in range(24):
        out.write(big)
    out.write(b"end")
info = s3.get_file_info("lake/d/stream")
assert info.size == 24 * MIB + 3
with s3.open_input_file("lake/d/stream") as file:
    assert file.metadata()["Content-Type"] == b"a/b"

    assert file.read_at(10, 5 * MIB - 5) == big[-5:] + big[:5]
    file.seek(24 * MIB)
    assert file.read() == b"end"
    assert file.read_at(5, 24 * MIB + 3) == b""
try:
    s3.open_input_file("lake/none")
    raise AssertionError("a file that is not there was opened")
except FileNotFoundError:
    pass

# Directories, copies and moves.
s3.create_dir("lake/made/below", recursive=True)
assert s3.get_file_info("lake/made/below").type == fs.FileType.Directory
s3.copy_file("lake/d/stream", "lake/made/copy")
s3.move("lake/made/copy", "lake/made/moved")
assert s3.get_file_info("lake/made/copy").type == fs.FileType.NotFound
with s3.open_input_stream("lake/made/moved") as moved:
    assert moved.read() == big * 24 + b"end"
names = sorted(info.path for info in s3.get_file_info(fs.FileSelector("lake/made", recursive=True)))
assert names == ["lake/made/below", "lake/made/moved"], names
s3.delete_file("lake/made/moved")
s3.delete_dir_contents("lake/made")
assert s3.get_file_info(fs.FileSelector("lake/made", recursive=True)) == []
fs.copy_files("lake/set", "copied", source_filesystem=s3, destination_filesystem=fs.LocalFileSystem())
assert ds.dataset("copied", partitioning=["kind"]).count_rows() == N
s3.delete_dir("lake/set")
assert s3.get_file_info("lake/set").type == fs.FileType.NotFound
left = sorted(info.path for info in s3.get_file_info(fs.FileSelector("lake", recursive=True)) if info.is_file)
assert left == ["lake/d/stream", "lake/one.parquet", "lake/t.csv"], left
s3.delete_dir("lake")
assert s3.get_file_info("lake").type == fs.FileType.NotFound
