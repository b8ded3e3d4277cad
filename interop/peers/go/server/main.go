// Command server serves test.v1.Echo and grpc.health.v1.Health with grpc-go. It prints {"port":N} and ends with its standard input.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"effect-kratos.dev/interop/contract"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const askInterrupted = "@interrupted:"

type echo struct {
	contract    *contract.Contract
	mutex       sync.Mutex
	interrupted map[string]int32
}

// wait sleeps, and counts the call as interrupted when its context ends first.
func (e *echo) wait(ctx context.Context, request contract.Request) error {
	if request.DelayMs <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(request.DelayMs) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		e.mutex.Lock()
		e.interrupted[request.Text]++
		e.mutex.Unlock()
		return status.FromContextError(ctx.Err()).Err()
	}
}

func failure(request contract.Request) error {
	if request.FailReason == "" {
		return nil
	}
	code, known := contract.Codes[request.FailReason]
	if !known {
		code = uint32(codes.Unknown)
	}
	made, err := status.New(codes.Code(code), request.FailReason+": "+request.Text).WithDetails(&errdetails.ErrorInfo{
		Reason:   request.FailReason,
		Metadata: map[string]string{"text": request.Text},
	})
	if err != nil {
		return err
	}
	return made.Err()
}

// returned gives the metadata asked for three ways: in the message, as headers and as trailers.
func returned(ctx context.Context, names []string) (map[string]string, metadata.MD, metadata.MD) {
	incoming, _ := metadata.FromIncomingContext(ctx)
	inMessage, header, trailer := map[string]string{}, metadata.MD{}, metadata.MD{}
	for _, name := range names {
		values := incoming.Get(name)
		if len(values) == 0 {
			continue
		}
		var texts []string
		for _, value := range values {
			header.Append("echo-"+name, value)
			trailer.Append("trailer-"+name, value)
			if strings.HasSuffix(name, "-bin") {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			texts = append(texts, value)
		}
		inMessage[name] = strings.Join(texts, ",")
	}
	return inMessage, header, trailer
}

func (e *echo) unary(ctx context.Context, request contract.Request) (contract.Reply, error) {
	if id, asked := strings.CutPrefix(request.Text, askInterrupted); asked {
		e.mutex.Lock()
		defer e.mutex.Unlock()
		return contract.Reply{Text: request.Text, Index: e.interrupted[id]}, nil
	}
	if err := e.wait(ctx, request); err != nil {
		return contract.Reply{}, err
	}
	inMessage, header, trailer := returned(ctx, request.EchoMetadata)
	if err := errors.Join(grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer)); err != nil {
		return contract.Reply{}, err
	}
	if err := failure(request); err != nil {
		return contract.Reply{}, err
	}
	return contract.Reply{Text: request.Text, Payload: request.Payload, Metadata: inMessage}, nil
}

func (e *echo) receive(stream grpc.ServerStream) (contract.Request, error) {
	message := e.contract.NewRequest()
	err := stream.RecvMsg(message)
	return contract.ReadRequest(message), err
}

// send sends the replies of one request, at least `least`, and counts on from `index`.
func (e *echo) send(stream grpc.ServerStream, request contract.Request, least int32, index *int32) error {
	inMessage, header, trailer := returned(stream.Context(), request.EchoMetadata)
	if len(header) > 0 && *index == 0 {
		if err := stream.SetHeader(header); err != nil {
			return err
		}
		stream.SetTrailer(trailer)
	}
	for range max(request.Count, least) {
		if err := e.wait(stream.Context(), request); err != nil {
			return err
		}
		reply := contract.Reply{Text: request.Text, Payload: request.Payload, Index: *index, Metadata: inMessage}
		if err := stream.SendMsg(e.contract.Reply(reply)); err != nil {
			return err
		}
		*index++
	}
	return failure(request)
}

func (e *echo) serverStream(stream grpc.ServerStream) error {
	request, err := e.receive(stream)
	if err != nil {
		return err
	}
	var index int32
	return e.send(stream, request, 0, &index)
}

func (e *echo) clientStream(stream grpc.ServerStream) error {
	var texts []string
	var payload []byte
	for {
		request, err := e.receive(stream)
		if errors.Is(err, io.EOF) {
			reply := contract.Reply{Text: strings.Join(texts, ","), Payload: payload, Index: int32(len(texts))}
			return stream.SendMsg(e.contract.Reply(reply))
		}
		if err != nil {
			return err
		}
		if err := e.wait(stream.Context(), request); err != nil {
			return err
		}
		if err := failure(request); err != nil {
			return err
		}
		texts = append(texts, request.Text)
		payload = append(payload, request.Payload...)
	}
}

func (e *echo) bidi(stream grpc.ServerStream) error {
	var index int32
	for {
		request, err := e.receive(stream)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.send(stream, request, 1, &index); err != nil {
			return err
		}
	}
}

func (e *echo) describe() *grpc.ServiceDesc {
	unary := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		message := e.contract.NewRequest()
		if err := decode(message); err != nil {
			return nil, err
		}
		reply, err := e.unary(ctx, contract.ReadRequest(message))
		if err != nil {
			return nil, err
		}
		return e.contract.Reply(reply), nil
	}
	stream := func(handle func(grpc.ServerStream) error) grpc.StreamHandler {
		return func(_ any, stream grpc.ServerStream) error { return handle(stream) }
	}
	return &grpc.ServiceDesc{
		ServiceName: contract.Service,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}, {MethodName: "Old", Handler: unary}},
		Streams: []grpc.StreamDesc{
			{StreamName: "ServerStream", Handler: stream(e.serverStream), ServerStreams: true},
			{StreamName: "ClientStream", Handler: stream(e.clientStream), ClientStreams: true},
			{StreamName: "Bidi", Handler: stream(e.bidi), ServerStreams: true, ClientStreams: true},
		},
	}
}

func main() {
	loaded, err := contract.Load()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	service := &echo{contract: loaded, interrupted: map[string]int32{}}
	server.RegisterService(service.describe(), service)
	healthServer := health.NewServer()
	healthServer.SetServingStatus(contract.Service, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, healthServer)
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
