// Open a stream with a fixed window, read as many messages as is said, and then nothing, until the input ends.
//
//	go-client ADDRESS METHOD WINDOW_BYTES READ
package main

import (
	"context"
	"io"
	"log"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// raw leaves messages as they are.
type raw struct{}

func (raw) Name() string                        { return "raw" }
func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	address, method, window, read := os.Args[1], os.Args[2], number(os.Args[3]), number(os.Args[4])
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
	}
	if window > 0 { // at least 65,535: Go takes no smaller one; either also ends its own widening
		options = append(options, grpc.WithInitialWindowSize(int32(window)), grpc.WithInitialConnWindowSize(1<<30))
	}
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		log.Fatal(err)
	}
	pairs := []string{"flowcontrol-client-name", "go-client"}
	if window > 0 {
		pairs = append(pairs, "flowcontrol-window-bytes", strconv.Itoa(window))
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), pairs...)
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+method)
	if err != nil {
		log.Fatal(err)
	}
	message := []byte{}
	if err := stream.SendMsg(&message); err != nil {
		log.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		log.Fatal(err)
	}
	for range read {
		if err := stream.RecvMsg(&message); err != nil {
			log.Fatal(err)
		}
	}
	_, _ = io.ReadAll(os.Stdin)
}
