// Unary calls of REST by Kratos v2, with messages of the test contract: `server` serves them on a free port and prints {"port":N} until its standard
// input ends; `client ADDRESS` calls ours in each dialect and prints a line for each call. What it does is what protoc-gen-go-http would generate.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	nethttp "net/http"
	"os"
	"time"

	"github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/transport/http"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "effect-kratos/interop/codecs/gen/testv1"
)

// The names, for what differs between the versions.
var dialects = []struct{ name, contentType, accept string }{
	{"v2", "application/json", ""},
	{"binary", "application/proto", "application/proto"},
}

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "server":
		serve()
	case len(os.Args) == 3 && os.Args[1] == "client":
		call(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: server | client ADDRESS")
		os.Exit(2)
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := http.NewServer(http.Listener(listener))
	route := server.Route("/")
	route.POST("/v1/wide", func(ctx http.Context) error {
		var in pb.Wide
		if err := ctx.Bind(&in); err != nil {
			return err
		}
		return ctx.Result(200, &in)
	})
	route.GET("/v1/users/{user_id}/posts/{post_id}", func(ctx http.Context) error {
		var in pb.UserRequest
		if err := ctx.BindQuery(&in); err != nil {
			return err
		}
		if err := ctx.BindVars(&in); err != nil {
			return err
		}
		if in.GetUserId() == "nobody" {
			return errors.NotFound("USER_NOT_FOUND", "no such user").WithMetadata(map[string]string{"id": "7"})
		}
		return ctx.Result(200, &in)
	})
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := server.Start(context.Background()); err != nil {
		panic(err)
	}
}

func wide() *pb.Wide {
	flag := false
	return &pb.Wide{
		DoubleValue: 1.5, FloatValue: 1.1, Int32Value: math.MinInt32, Int64Value: math.MaxInt64, Uint64Value: math.MaxUint64,
		StringValue: "a <b> é", BytesValue: []byte{0, 255}, Color: pb.Color_COLOR_GREEN, Nested: &pb.Wide_Nested{Name: "n", Number: 5},
		Longs: []int64{math.MinInt64}, Labels: map[string]string{"a": "b"}, MaybeFlag: &flag,
		Timestamp: timestamppb.New(time.Unix(1700000000, 5)), Duration: durationpb.New(1500 * time.Millisecond),
		// unset it would be sent as null, which is a value
		Value: structpb.NewNumberValue(2),
	}
}

type line struct {
	Dialect string            `json:"dialect"`
	Call    string            `json:"call"`
	Same    bool              `json:"same"`
	Code    int32             `json:"code,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Message string            `json:"message,omitempty"`
	More    map[string]string `json:"metadata,omitempty"`
}

func call(address string) {
	ctx := context.Background()
	client, err := http.NewClient(ctx, http.WithEndpoint(address), http.WithTimeout(10*time.Second))
	if err != nil {
		panic(err)
	}
	for _, dialect := range dialects {
		options := func() []http.CallOption {
			header := nethttp.Header{}
			if dialect.accept != "" {
				header.Set("Accept", dialect.accept)
			}
			return []http.CallOption{http.Header(&header), http.ContentType(dialect.contentType)}
		}
		say := func(name string, want, got proto.Message, err error) {
			answer := line{Dialect: dialect.name, Call: name, Same: err == nil && proto.Equal(want, got)}
			if err != nil {
				known := errors.FromError(err)
				answer.Code, answer.Reason, answer.Message, answer.More = known.Code, known.Reason, known.Message, known.Metadata
			}
			text, _ := json.Marshal(answer)
			fmt.Println(string(text))
		}
		reply := new(pb.Wide)
		err := client.Invoke(ctx, "POST", "/v1/wide", wide(), reply, options()...)
		say("create", wide(), reply, err)
		user := new(pb.UserRequest)
		err = client.Invoke(ctx, "GET", "/v1/users/ada/posts/9007199254740993?fullView=yes", nil, user, options()...)
		say("get", &pb.UserRequest{UserId: "ada", PostId: 9007199254740993, FullView: "yes"}, user, err)
		err = client.Invoke(ctx, "GET", "/v1/users/nobody/posts/1", nil, user, options()...)
		say("error", user, user, err)
	}
}
