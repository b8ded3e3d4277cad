// Package service has the handlers that both peers serve.
package service

import (
	"context"
	"io"

	bench "effect-kratos.dev/bench/gen/bench/v1"
	helloworld "effect-kratos.dev/bench/gen/helloworld/v1"
	"google.golang.org/grpc"
)

type Greeter struct {
	helloworld.UnimplementedGreeterServer
}

func (Greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return &helloworld.HelloReply{Message: "Hello " + request.GetName()}, nil
}

type Load struct {
	bench.UnimplementedLoadServer
}

func (Load) Download(request *bench.DownloadRequest, stream grpc.ServerStreamingServer[bench.Chunk]) error {
	chunk := &bench.Chunk{Data: make([]byte, request.GetBytes())}
	for range request.GetCount() {
		if err := stream.Send(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (Load) Upload(stream grpc.ClientStreamingServer[bench.Chunk, bench.Summary]) error {
	summary := &bench.Summary{}
	for {
		chunk, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(summary)
		}
		if err != nil {
			return err
		}
		summary.Count++
		summary.Bytes += uint32(len(chunk.GetData()))
	}
}

func (Load) Chat(stream grpc.BidiStreamingServer[bench.Chunk, bench.Chunk]) error {
	for {
		chunk, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(chunk); err != nil {
			return err
		}
	}
}

func (Load) Echo(_ context.Context, chunk *bench.Chunk) (*bench.Chunk, error) {
	return chunk, nil
}
